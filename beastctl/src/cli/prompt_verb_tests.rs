use std::path::PathBuf;

use super::*;

fn typed(words: &[&str]) -> Result<Cli> {
    parse(std::iter::once("beastctl").chain(words.iter().copied()).map(OsString::from).collect(), None)
}

#[test]
fn a_prompt_is_run_with_all_options_before_and_after_it() {
    let cli = typed(&["-q", "--socket", "/s", "tldr", "--json", "a.txt", "-", "--timeout", "3", "b.txt"]).unwrap();
    assert!(cli.quiet && cli.socket.as_deref() == Some("/s".as_ref()));
    assert_eq!(cli.timeout, Some(std::time::Duration::from_secs(3)));
    let Verb::Run { prompt, files, options, .. } = cli.verb else { panic!("{:?}", cli.verb) };
    assert_eq!((prompt.as_str(), options.output.json), ("tldr", true));
    assert_eq!(files, ["a.txt", "-", "b.txt"].map(PathBuf::from));
}

#[test]
fn a_word_that_looks_like_an_option_can_still_be_a_file() {
    let Verb::Run { files, .. } = typed(&["tldr", "--", "--json"]).unwrap().verb else { panic!() };
    assert_eq!(files, [PathBuf::from("--json")]);
}

#[test]
fn a_dash_dash_before_the_name_changes_nothing() {
    let Verb::Run { prompt, files, .. } = typed(&["-q", "--", "tldr", "a"]).unwrap().verb else { panic!() };
    assert_eq!((prompt.as_str(), files), ("tldr", vec![PathBuf::from("a")]));
    assert!(matches!(typed(&["--", "stop"]).unwrap().verb, Verb::Stop));
    assert!(typed(&["--", "--", "tldr"]).is_ok_and(|cli| matches!(cli.verb, Verb::Run { .. })));
    assert!(typed(&["--socket", "--", "explian"]).is_err());
}

#[test]
fn commands_win_over_prompts() {
    assert!(matches!(typed(&["summarize"]).unwrap().verb, Verb::Summarize { .. }));
    assert!(matches!(typed(&["ask", "why"]).unwrap().verb, Verb::Ask { .. }));
    assert!(is_command("status") && is_command("help") && !is_command("explain"));
}

#[test]
fn what_is_neither_is_told_in_one_line() {
    let told = |word: &str| match typed(&[word]).unwrap_err().find::<PromptError>() {
        Some(PromptError::NoCommand { word, nearest }) => (word.clone(), nearest.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(told("explian"), ("explian".into(), Some("explain".into())));
    assert_eq!(told("statsu"), ("statsu".into(), Some("status".into())));
    assert_eq!(told("a/b"), ("a/b".into(), None));
    // A long text in place of a name is shortened.
    assert_eq!(told(&"word ".repeat(1000)).0.chars().count(), 61);
}

#[test]
fn help_and_mistakes_speak_of_the_prompt() {
    let error = |words: &[&str]| typed(words).unwrap_err().find::<clap::Error>().unwrap().to_string();
    let help = error(&["translate", "--help"]);
    assert!(help.starts_with("Translate into English"), "{help}");
    for text in ["Usage: beastctl translate [OPTIONS] [FILE]...", "-p to=VALUE  [default: English]", "--temp"] {
        assert!(help.contains(text), "{text} in {help}");
    }
    assert!(!help.contains("<PROMPT>"), "{help}");
    let mistake = error(&["explain", "--jsn"]);
    assert!(mistake.contains("Usage: beastctl explain [OPTIONS]"), "{mistake}");
}

#[test]
fn json_behind_x_is_no_question() {
    let spelled = |words: &[&str]| match typed(words).unwrap().verb {
        Verb::Ask { question, options, .. } => {
            (question, options.output.form.extract, options.output.form.extract_json)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(spelled(&["ask", "-x", "json", "why?"]), (vec!["why?".into()], false, true));
    assert_eq!(spelled(&["ask", "why?", "--extract", "json"]), (vec!["why?".into()], false, true));
    assert_eq!(spelled(&["ask", "-x", "why?", "json"]), (vec!["why?".into(), "json".into()], true, false));
    assert_eq!(spelled(&["ask", "-x", "--", "json"]), (vec!["json".into()], true, false));
    assert!(typed(&["tldr", "-x", "json"]).is_ok());
}
