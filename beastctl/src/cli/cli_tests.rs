use clap::CommandFactory;
use expect_test::expect;

use super::*;
use crate::numbers::{dry_base, dry_multiplier, min_p, temp, top_p, xtc};

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

/// The first help that a user sees must fit on a screen.
#[test]
fn the_help_is_short() {
    let help = Cli::command().render_help().to_string();
    expect![[r#"
        Ask a local language model

        Usage: beastctl [OPTIONS] <COMMAND>

        Commands:
          summarize    Summarize files or stdin
          ask          Answer a question, about stdin if it is piped
          decide       Answer yes or no by exit code, choose or rate
          embed        Print embeddings: a vector for each line, paragraph or file
          similar      Rank lines, paragraphs or files by their similarity to a query
          commit-msg   Write a commit message for a diff on stdin, or for the staged changes
          run          Run any prompt: a built-in one, or your own prompts/NAME.md beside the configuration
          map          Run one prompt on each of many files; can be resumed
          prompts      List, show, write and edit prompts
          chat         Chat with the model; without a terminal, answer stdin line by line
          history      List, show, search or remove saved conversations
          status       Show what the daemon is doing; does not start one
          models       List, download, remove and select models
          bench        Benchmark this machine, or tune beastd for it
          logs         Show the daemon's log
          doctor       Diagnose problems and suggest fixes; does not start a daemon
          hook         Suggest commit messages in git: install, uninstall, status
          load         Load a model now, so that the next request does not wait for it
          unload       Unload models after their running requests finish; the next request reloads them
          service      Run beastd as a systemd or launchd service: install, uninstall, start, stop, restart,
                       status
          stop         Stop the daemon after its running requests finish
          version      Show the versions of client, protocol and daemon; does not start one
          completions  Print a completion script for your shell: commands, options, prompts and models
          man          Show the manual, or print it as a man page if stdout is not a terminal
          help         Show help for a command or prompt

        Options:
          -q, --quiet               Show errors only: no progress, notes or warnings
              --color <WHEN>        Use colours: auto, always or never [env: BEAST_COLOR, NO_COLOR]
              --socket <PATH>       Socket of the daemon [default: where beastd puts it]
              --timeout <DURATION>  Give up after this time, such as 10s or 2m [env: BEAST_TIMEOUT]
          -h, --help                Print help
          -V, --version             Print version

        Examples:
          cat notes.md | beastctl summarize
          git log -20 | beastctl ask 'what changed in the parser?'
          git diff --staged | beastctl commit-msg
          beastctl translate letter.txt

        Every prompt is also a command; `beastctl prompts` lists them.

        Exit codes: 0 done, 1 failed, 2 usage, 3 unreachable, 4 too long, 5 cut, 6 unsure, 70 no answer, 75
        busy, 130 interrupted.
    "#]]
    .assert_eq(&help);
}

#[test]
fn every_verb_has_one_line_and_examples() {
    for verb in Cli::command().get_subcommands() {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty() && !about.contains('\n'), "{}", verb.get_name());
        let examples = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(examples.contains(&format!("beastctl {}", verb.get_name())), "{}", verb.get_name());
    }
}

#[test]
fn durations_have_units_and_a_bare_number_counts_seconds() {
    for (text, ms) in [("10s", 10_000), ("2m", 120_000), ("500ms", 500), ("1m 30s", 90_000), ("5", 5_000), ("0.5", 500)]
    {
        assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
    }
    for text in ["", "0", "0s", "-1", "-5s", "soon", "NaN", "inf", "10 parsecs"] {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn numbers_stay_within_their_range() {
    for (check, good, bad) in [
        (temp as fn(&str) -> Result<f32, String>, ["0", "0.7", "5"], ["-0.1", "NaN", "inf"]),
        (top_p, ["0.01", "0.9", "1"], ["0", "1.1", "x"]),
        (min_p, ["0", "0.05", "1"], ["-1", "1.01", ""]),
        (dry_multiplier, ["0", "0.8", "5"], ["-0.1", "NaN", "inf"]),
        (dry_base, ["1", "1.75", "4"], ["0.99", "-2", "x"]),
        (xtc, ["0", "0.5", "1"], ["-0.1", "1.1", ""]),
    ] {
        assert!(good.iter().all(|text| check(text).is_ok()), "{good:?}");
        assert!(bad.iter().all(|text| check(text).is_err()), "{bad:?}");
    }
}

fn bench(arguments: &[&str]) -> Result<BenchOptions, clap::error::ErrorKind> {
    match Cli::try_parse_from([&["beastctl", "bench"], arguments].concat()) {
        Ok(Cli { verb: Verb::Bench(options), .. }) => Ok(options),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.kind()),
    }
}

#[test]
fn bench_knows_its_tables_and_where_things_go() {
    let options = bench(&["--only", "speculation,clients", "--only", "prefix", "--json", "--svg", "a.svg"]).unwrap();
    assert_eq!(options.only, [BenchTable::Speculation, BenchTable::Clients, BenchTable::Prefix]);
    assert_eq!(options.json, Some(STDOUT.into()));
    assert_eq!(options.svg, Some("a.svg".into()));
    assert_eq!(bench(&["--json", "a.json"]).unwrap().json, Some("a.json".into()));
    assert_eq!(bench(&[]).unwrap().json, None);
    assert_eq!(bench(&["--repeats", "5", "--quick"]).unwrap().repeats, Some(5));
}

#[test]
fn bench_refuses_what_makes_no_sense() {
    use clap::error::ErrorKind::{ArgumentConflict, InvalidValue, UnknownArgument, ValueValidation};
    for (arguments, kind) in [
        (&["--only", "speed"][..], InvalidValue),
        (&["--repeats", "0"], ValueValidation),
        (&["--calibrate", "--quick"], ArgumentConflict),
        (&["--calibrate", "--only", "prefix"], ArgumentConflict),
        (&["--calibrate", "--svg", "a.svg"], ArgumentConflict),
        (&["model.gguf"], UnknownArgument),
    ] {
        assert_eq!(bench(arguments).unwrap_err(), kind, "{arguments:?}");
    }
    assert!(bench(&["--calibrate", "--model", "a.gguf", "--json", "--force"]).unwrap().calibrate);
}
