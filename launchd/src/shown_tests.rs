use super::*;

/// Every character that opens, closes or forces a direction.
const DIRECTIONS: &str = "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";

#[test]
fn a_terminal_gets_no_command_and_no_direction() {
    assert_eq!(harmless("a\u{1b}]52;c;eA==\u{7}b\u{9b}2J\u{7f}\tc\r\nd\re"), "a�]52;c;eA==�b�2J�\tc\nd�e");
    assert_eq!(harmless("if \u{202e}x\u{2066}"), "if \\u202ex\\u2066");
    assert_eq!(harmless(DIRECTIONS), "\\u202a\\u202b\\u202c\\u202d\\u202e\\u2066\\u2067\\u2068\\u2069");
}

#[test]
fn what_is_read_as_it_stands_is_left_alone() {
    for text in ["שלום!\u{200f} \u{200e}abc\u{61c}", "two\nlines\tand 日本", "e\u{301}\u{200d}", ""] {
        assert!(matches!(harmless(text), Cow::Borrowed(same) if same == text), "{text:?}");
    }
}

#[test]
fn a_line_stays_one() {
    assert_eq!(one_line("a\n  b\r\n\nc\t\u{1b}[31m\rd\u{2028}e\n"), "a b c  [31m d e");
    assert_eq!(one_line("\u{202e}gpj.exe"), "\\u202egpj.exe");
}

#[test]
fn a_log_keeps_all_of_it_in_its_line() {
    assert_eq!(
        logged("m\n2026-11-26 ERROR forged\r\u{85}\u{2029}x\u{1b}[2J"),
        "m\\n2026-11-26 ERROR forged\\r�\\u2029x�[2J"
    );
    assert!(matches!(logged("plain\ttext"), Cow::Borrowed(_)));
}

#[test]
fn json_escapes_what_a_terminal_would_obey() {
    assert!(DIRECTIONS.chars().chain("\u{7}\u{1b}\u{7f}\u{9b}\n".chars()).all(is_escaped_in_json));
    assert!(!"aä\u{200f}日".contains(is_escaped_in_json));
}
