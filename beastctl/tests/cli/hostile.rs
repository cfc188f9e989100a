//! Untrusted text on a terminal: it cannot control the terminal or reverse the text. Pipes get the bytes unchanged.

use crate::{
    harness::{Beast, feed},
    terminal::Seen,
};

/// Sets the clipboard, clears the screen, reverses a line.
const HOSTILE: &str = "\u{1b}]52;c;eA==\u{7}\u{1b}[2J\u{9b}2J\u{202e}x\u{2066}";

/// Whether the only escape sequences are our colours and our erasing of a line.
fn is_harmless(text: &str) -> bool {
    let mut parts = text.split("\x1b[");
    let rest = parts.next().into_iter().map(str::to_owned);
    let rest: String = rest
        .chain(parts.map(|part| {
            let end = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
            end.strip_prefix(['m', 'K']).map_or_else(|| format!("\x1b[{part}"), str::to_owned)
        }))
        .collect();
    !rest.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\r'))
        && !rest.contains(['\u{202e}', '\u{2066}'])
}

fn seen(beast: &Beast, arguments: &[&str]) -> (String, String) {
    let mut command = beast.command(arguments);
    command.env("TERM", "xterm").env("LANG", "C.UTF-8");
    let (_, out, err) = Seen::start(command, 80, b"text").finish();
    (out, err)
}

fn piped(beast: &Beast, arguments: &[&str]) -> String {
    let output = feed(beast.command(arguments), b"text").wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_answer_shows_what_would_turn_it_around_and_a_pipe_gets_its_bytes() {
    for options in [&[][..], &["--no-stream"], &["--no-markdown"], &["-x"], &["--json"], &["--stream-json"]] {
        let beast = Beast::new();
        beast.daemon(|peer| {
            peer.generate();
            peer.answer(&["```\n", HOSTILE, "\n```"]);
        });
        let (out, _) = seen(&beast, &[&["summarize"], options].concat());
        assert!(is_harmless(&out) && out.contains("\\u202ex\\u2066"), "{options:?}: {out:?}");
    }
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        peer.answer(&["a", HOSTILE, "b"]);
    });
    assert_eq!(piped(&beast, &["summarize"]), format!("a{HOSTILE}b\n"));
}

#[test]
fn a_prompt_of_others_commands_no_terminal() {
    let beast = Beast::new();
    let escaped = r"\e]52;c;eA==\a\e[2J\u202ex\u2066";
    let text =
        format!("---\ndescription: \"d{escaped}\"\nvariables: {{to: \"v{escaped}\"}}\n---\nSay {HOSTILE}{{{{to}}}}\n");
    beast.write("config/beast/prompts/evil.md", &text);
    for arguments in [
        &["help", "evil"][..],
        &["evil", "--help"],
        &["--color", "always", "help", "evil"],
        &["prompts"],
        &["prompts", "--json"],
        &["prompts", "show", "evil"],
        &["evil", "-p", "tu=x"],
    ] {
        let (out, err) = seen(&beast, arguments);
        assert!(is_harmless(&out) && is_harmless(&err), "{arguments:?}: {out:?} {err:?}");
        assert!(["evil", "Say"].iter().any(|word| [&*out, &*err].concat().contains(word)), "{arguments:?}");
    }
    // Colours are only for terminals, so the text is also safe if it gets there through a pager.
    assert!(is_harmless(&piped(&beast, &["--color", "always", "help", "evil"])));
    assert_eq!(piped(&beast, &["prompts", "show", "evil"]), text);
}

#[test]
fn names_of_files_and_conversations_command_no_terminal() {
    let beast = Beast::new();
    let file = format!("{}.txt", HOSTILE.replace('/', ""));
    let exchange = format!("> q{HOSTILE}");
    for arguments in
        [&["summarize", &file][..], &["models", "show", HOSTILE], &["history", "show", HOSTILE], &[&exchange]]
    {
        let (out, err) = seen(&beast, arguments);
        assert!(is_harmless(&out) && is_harmless(&err) && err.contains("beastctl:"), "{arguments:?}: {out:?} {err:?}");
    }
}
