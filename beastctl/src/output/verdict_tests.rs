use super::*;

#[test]
fn only_a_terminal_gets_colours() {
    let plain = Console {
        stdout_is_terminal: false,
        stderr_is_terminal: false,
        is_quiet: false,
        has_colour: false,
        stdout_has_colour: false,
    };
    assert_eq!(plain.verdict_line(Verdict::Ok, "disk", "a\n\x1b[2Jb"), "ok       disk           a  [2Jb\n");
    let coloured = Console { stdout_has_colour: true, ..plain };
    assert_eq!(
        coloured.verdict_line(Verdict::Problem, "disk", "full"),
        "\x1b[1;31mproblem  \x1b[0mdisk           full\n"
    );
}
