//! A new user's mistakes: each gets one line that names the mistake and the next step.

use expect_test::expect;

use crate::harness::Beast;

#[test]
fn a_stranger_is_told_what_was_wrong_and_where_the_help_is() {
    let beast = Beast::alone();
    let mut lines = String::new();
    for arguments in [
        // Unknown options.
        &["ask", "--tmep", "1", "q"][..],
        &["ask", "--engine", "x", "q"],
        &["--verbose"],
        &["summarize", "-z"],
        &["explain", "--jsn"],
        &["ask", "why", "-1"],
        // Missing and invalid values.
        &["ask", "q", "--max-tokens"],
        &["ask", "q", "--max-tokens", "many"],
        &["ask", "q", "--max-tokens", "0"],
        &["summarize", "--temp", "-1"],
        &["ask", "q", "--top-p", "1.5"],
        &["explain", "--seed", "x"],
        &["--timeout", "soon", "ask", "q"],
        &["ask", "q", "--truncate", "all"],
        &["ask", "q", "--param", "to"],
        &["ask", "q", "--session", "a b"],
        &["--color", "red", "status"],
        // Conflicting options.
        &["ask", "q", "--schema", "a", "--grammar", "b"],
        &["ask", "q", "-c", "--session", "a"],
        &["bench", "--calibrate", "--quick"],
        // Unknown and incomplete commands.
        &["stauts"],
        &["what is a pipe?"],
        &["run"],
        &["prompts", "lst"],
        &["prompts", "show"],
        &["history", "delete"],
        &["history", "rm"],
        &["hook", "instal"],
        &["status", "now"],
        &["completions", "tcsh"],
        &["man", "stauts"],
    ] {
        let ran = beast.run(arguments, b"");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains("; try: "), "{arguments:?}: {ran:?}");
        lines += &format!("$ beastctl {}\n{}", arguments.join(" "), ran.stderr.replace("beastctl: ", "  "));
    }
    expect![[r#"
        $ beastctl ask --tmep 1 q
          unknown option '--tmep'; did you mean '--temp'?; try: beastctl ask --help
        $ beastctl ask --engine x q
          unknown option '--engine'; try: beastctl ask --help
        $ beastctl --verbose
          unknown option '--verbose'; try: beastctl --help
        $ beastctl summarize -z
          unknown option '-z'; to pass '-z' as a value, use '-- -z'; try: beastctl summarize --help
        $ beastctl explain --jsn
          unknown option '--jsn'; did you mean '--json'?; try: beastctl explain --help
        $ beastctl ask why -1
          unknown option '-1'; to pass '-1' as a value, use '-- -1'; try: beastctl ask --help
        $ beastctl ask q --max-tokens
          '--max-tokens <N>' needs a value; try: beastctl ask --help
        $ beastctl ask q --max-tokens many
          invalid value 'many' for '--max-tokens <N>': must be a whole number, 1 or more; try: beastctl ask --help
        $ beastctl ask q --max-tokens 0
          invalid value '0' for '--max-tokens <N>': must be a whole number, 1 or more; try: beastctl ask --help
        $ beastctl summarize --temp -1
          invalid value '-1' for '--temp <T>': must be a number, 0 or more; try: beastctl summarize --help
        $ beastctl ask q --top-p 1.5
          invalid value '1.5' for '--top-p <P>': must be a number, above 0 and at most 1; try: beastctl ask --help
        $ beastctl explain --seed x
          invalid value 'x' for '--seed <N>': must be a whole number, 0 or more; without --seed each answer is random; try: beastctl explain --help
        $ beastctl --timeout soon ask q
          invalid value 'soon' for '--timeout <DURATION>': must be a duration above 0, like 10s or 2m; try: beastctl ask --help
        $ beastctl ask q --truncate all
          invalid value 'all' for '--truncate <PLACE>' [possible values: head, middle, tail]; try: beastctl ask --help
        $ beastctl ask q --param to
          invalid value 'to' for '--param <KEY=VALUE>': must be KEY=VALUE; try: beastctl ask --help
        $ beastctl ask q --session a b
          invalid value 'a b' for '--session <NAME>': use letters, digits, `-`, `_` and `.`, at most 64 bytes, not starting with `.` or `-`; try: beastctl ask --help
        $ beastctl --color red status
          invalid value 'red' for '--color <WHEN>' [possible values: auto, always, never]; try: beastctl status --help
        $ beastctl ask q --schema a --grammar b
          the argument '--schema <SCHEMA>' cannot be used with '--grammar <FILE>'; try: beastctl ask --help
        $ beastctl ask q -c --session a
          the argument '--continue' cannot be used with '--session <NAME>'; try: beastctl ask --help
        $ beastctl bench --calibrate --quick
          the argument '--calibrate' cannot be used with '--quick'; try: beastctl bench --help
        $ beastctl stauts
          unknown command `stauts`, did you mean `status`?; try: beastctl --help for commands, beastctl prompts for prompts
        $ beastctl what is a pipe?
          unknown command `what is a pipe?`; try: beastctl --help for commands, beastctl prompts for prompts
        $ beastctl run
          missing <PROMPT>; try: beastctl run --help
        $ beastctl prompts lst
          unknown command 'lst'; did you mean 'list'?; try: beastctl prompts --help
        $ beastctl prompts show
          missing <NAME>; try: beastctl prompts show --help
        $ beastctl history delete
          unknown command 'delete'; try: beastctl history --help
        $ beastctl history rm
          missing <NAME>...; try: beastctl history rm --help
        $ beastctl hook instal
          unknown command 'instal'; did you mean 'install'?; try: beastctl hook --help
        $ beastctl status now
          unexpected argument 'now'; try: beastctl status --help
        $ beastctl completions tcsh
          invalid value 'tcsh' for '[SHELL]' [possible values: bash, zsh, fish]; try: beastctl completions --help
        $ beastctl man stauts
          unknown command `stauts`, did you mean `status`?; try: beastctl man, which lists the commands
    "#]].assert_eq(&lines);
}
