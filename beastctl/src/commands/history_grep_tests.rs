use super::*;
use crate::conversations::Said;

fn exchange(question: &str, answer: &str) -> Exchange {
    Exchange::new(question.into(), Said { text: answer.into(), model: "cub".into(), is_cut: false })
}

#[test]
fn each_line_that_matches_is_found_once_with_its_turn() {
    let exchanges = [exchange("what is\na pipe?", "A pipe, a pipe."), exchange("and?", "no\nA Pipe\r\n")];
    let pattern = Regex::new("[Pp]ipe").unwrap();
    let told: String = lines("shells", &exchanges, &pattern).map(|line| line.plain()).collect();
    assert_eq!(told, "shells:1:> a pipe?\nshells:1:A pipe, a pipe.\nshells:2:A Pipe\n");
    let none = Regex::new("socket").unwrap();
    assert_eq!(lines("shells", &exchanges, &none).count(), 0);
}

#[test]
fn what_is_found_is_painted_and_commands_nothing() {
    let exchanges = [exchange("x", "a\x1b[2Jb pipe  pipes\x07")];
    let painted = |pattern: &str| {
        let pattern = Regex::new(pattern).unwrap();
        lines("n", &exchanges, &pattern).map(|line| line.painted(&pattern)).collect::<String>().replace('\x1b', "ESC")
    };
    let (name, red) = ("ESC[35mnESC[0m:ESC[32m1ESC[0m:", "ESC[1;31m");
    assert_eq!(painted("pipe"), format!("{name}a\u{fffd}[2Jb {red}pipeESC[0m  {red}pipeESC[0ms\u{fffd}\n"));
    // A match of nothing is a line, and shows nothing.
    assert_eq!(painted("q*b"), format!("{name}a\u{fffd}[2J{red}bESC[0m pipe  pipes\u{fffd}\n"));
}
