use super::*;

#[test]
fn a_shell_takes_each_word_as_it_was() {
    for word in ["a", "", "my folder/it's", "-x", "$HOME", "a\"b", "ünïcode", "*", "~", "a\nb", "!", "a'b\"c$d"] {
        assert_eq!(shlex::split(&quoted(word)), Some(vec![word.to_owned()]), "{word}");
    }
    assert_eq!((quoted("a/b-c_d.gguf"), quoted("my folder")), ("a/b-c_d.gguf".into(), "'my folder'".into()));
}

#[test]
fn only_a_likely_slip_has_a_nearest_name() {
    let names = ["summarize", "status", "tldr"];
    assert_eq!(nearest("sumarise", names), Some("summarize"));
    assert_eq!(nearest("sum", names), Some("summarize"));
    assert_eq!(nearest("horoscope", names), None);
}

#[test]
fn long_words_and_long_lists_stay_on_a_line() {
    assert_eq!(excerpt(&"a".repeat(100)).chars().count(), 61);
    let names: Vec<String> = (0..14).map(|n| n.to_string()).collect();
    assert_eq!(some(&names), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more");
}
