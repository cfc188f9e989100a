use super::super::read;
use super::*;

fn is_light_enough(text: &str) -> bool {
    is_light(&read(text).expect("a valid grammar"))
}

#[test]
fn parts_that_may_be_left_out_weigh_as_their_square() {
    let many = |part: &str, n: usize| format!("root ::= {}", part.repeat(n));
    for part in ["\"a\"? ", "[a-z]? ", "\"ab\"* ", "(\"a\" | \"b\" | ) ", "\"a\"{0,9} "] {
        assert!(is_light_enough(&many(part, 1000)), "{part}");
        assert!(!is_light_enough(&many(part, 5000)), "{part}");
    }
    // The same if the parts are spread over rules.
    let named = format!("root ::= {}\na ::= {}", "a ".repeat(100), "\"a\"? ".repeat(100));
    assert!(is_light_enough(&named));
    let named = format!("root ::= {}\na ::= {}", "a ".repeat(1000), "\"a\"? ".repeat(100));
    assert!(!is_light_enough(&named));
    let doubled: String = (0..40).map(|n| format!("r{n} ::= r{} r{}\n", n + 1, n + 1)).collect();
    assert!(!is_light_enough(&format!("root ::= r0\n{doubled}r40 ::= \"a\"?")));
}

#[test]
fn what_has_to_be_there_weighs_next_to_nothing() {
    assert!(is_light_enough(&format!("root ::= \"{}\"", "word ".repeat(20_000))));
    assert!(is_light_enough(&format!("root ::= {}", "[a-z] \"x\"? ".repeat(20_000))));
    let words: Vec<String> = (0..20_000).map(|n| format!("\"{n}\"")).collect();
    assert!(is_light_enough(&format!("root ::= {}", words.join(" | "))));
    assert!(is_light_enough("root ::= [a-z]{0,100000}"));
}
