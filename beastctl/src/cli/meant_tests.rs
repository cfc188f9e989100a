use super::*;

#[test]
fn the_command_is_found_between_its_options() {
    for (words, expected) in [
        (&["summarize", "--temp", "-1"][..], "beastctl summarize"),
        (&["prompts", "new"], "beastctl prompts new"),
        (&["prompts", "knew"], "beastctl prompts"),
        (&["--timeout", "5s", "-q", "hook", "install", "--limit", "x"], "beastctl hook install"),
        (&["--socket", "status", "ask"], "beastctl ask"),
        (&["--socket=status", "ask"], "beastctl ask"),
        (&["explain", "--temp", "x"], "beastctl explain"),
        (&["--quiet", "my haiku", "--temp", "x"], "beastctl 'my haiku'"),
        (&["ask", "--", "status"], "beastctl ask"),
        (&["--tmep"], "beastctl"),
        (&["--timeout"], "beastctl"),
        (&[], "beastctl"),
    ] {
        assert_eq!(command_of(words), expected, "{words:?}");
    }
}
