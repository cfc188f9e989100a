//! The manual: every command has a page, and the pages are valid roff.

use std::{collections::BTreeSet, fs, process::Stdio};

use beastctl::cli::Cli;
use clap::CommandFactory;
use expect_test::expect;

use crate::harness::{Beast, feed};

/// All commands except hidden ones, which only scripts call.
fn names(command: &clap::Command, prefix: &str) -> BTreeSet<String> {
    let name =
        if prefix.is_empty() { command.get_name().to_owned() } else { format!("{prefix}-{}", command.get_name()) };
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    let mut all: BTreeSet<_> = shown.flat_map(|command| names(command, &name)).collect();
    all.insert(name);
    all
}

#[test]
fn every_command_has_a_page() {
    let beast = Beast::alone();
    let dir = beast.path("a new/man1");
    let ran = beast.run(&["man", "--dir", dir.to_str().unwrap()], b"");
    assert_eq!(ran.report(), "exit 0\nout: \"\"\nerr: ");
    let files: BTreeSet<_> =
        fs::read_dir(&dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let expected: BTreeSet<_> = names(&Cli::command(), "").iter().map(|name| format!("{name}.1")).collect();
    assert_eq!(files, expected);
    let main = fs::read_to_string(dir.join("beastctl.1")).unwrap();
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let listed = format!("beastctl\\-{}(1)", command.get_name().replace('-', "\\-"));
        assert!(main.contains(&listed), "{listed} in {main}");
    }
    for section in ["NAME", "SYNOPSIS", "OPTIONS", "PROMPTS", "EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "FILES"] {
        assert!(
            main.contains(&format!(".SH {section}\n")) || main.contains(&format!(".SH \"{section}\"\n")),
            "{section}"
        );
    }
    let run = fs::read_to_string(dir.join("beastctl-run.1")).unwrap();
    assert_eq!(run, beast.run(&["man", "run"], b"").stdout);
    assert!(run.contains("\\-\\-max\\-tokens"), "{run}");
}

#[test]
fn a_page_that_is_not_there_and_a_folder_that_cannot_be() {
    let beast = Beast::alone();
    beast.write("file", "");
    let reports = [&["man", "rnu"][..], &["man", "prompts", "ad"], &["man", "--dir", "file"]]
        .map(|arguments| beast.run(arguments, b"").report());
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: unknown command `rnu`, did you mean `run`?; try: beastctl man, which lists the commands
        exit 2
        out: ""
        err: beastctl: unknown command `prompts ad`; try: beastctl man, which lists the commands
        exit 1
        out: ""
        err: beastctl: cannot write file: File exists (os error 17); try: mv file file.old, which is in the way
    "#]]
    .assert_eq(&reports.concat());
}

#[test]
fn the_synopsis_says_what_options_take() {
    let beast = Beast::alone();
    let page = |command: &str| {
        beast.run(&["man", command], b"").stdout.replace("\\fI", "").replace("\\fB", "").replace("\\fR", "")
    };
    let run = page("run").replace("\\-", "-");
    for words in [
        "\nbeastctl run\n",
        "[-s|--system TEXT]\n",
        "[-p|--param KEY=VALUE]...\n",
        "[--json]\n",
        "\nPROMPT\n[FILE]...\n",
    ] {
        assert!(run.contains(words), "{words:?} in {run}");
    }
    assert!(page("bench").replace("\\-", "-").contains("[--json [FILE]]\n"));
    assert!(page("models").contains("[COMMAND]\n") && page("hook").contains("\nCOMMAND\n"));
}

#[test]
fn mandoc_has_nothing_to_warn_about() {
    let beast = Beast::alone();
    let dir = beast.path("man1");
    assert_eq!(beast.run(&["man", "--dir", dir.to_str().unwrap()], b"").code, Some(0));
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/man/beastd.1");
    let pages = fs::read_dir(&dir).unwrap().map(|page| page.unwrap().path()).chain([ours.into()]);
    let Ok(output) = std::process::Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).args(pages).output()
    else {
        eprintln!("skipped: there is no mandoc");
        return;
    };
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
}

#[test]
fn groff_has_nothing_to_complain_about() {
    let beast = Beast::alone();
    let mut command = std::process::Command::new("groff");
    command
        .args(["-man", "-Tutf8", "-ww", "-wall"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if std::process::Command::new("groff").arg("--version").output().is_err() {
        eprintln!("skipped: there is no groff");
        return;
    }
    let pages: String = [&["man"][..], &["man", "run"], &["man", "prompts", "edit"]]
        .map(|arguments| beast.run(arguments, b"").stdout)
        .concat();
    let output = feed(command, pages.as_bytes()).wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(text.contains("The daemon cannot be reached or started."), "{text}");
}

/// All pages have the date of the release, which is written in two places only: the changelog, and the page that is
/// written by hand.
#[test]
fn all_pages_have_the_date_of_the_last_release() {
    let date = |page: &str| {
        let head = page.lines().find(|line| line.starts_with(".TH ")).unwrap().to_owned();
        head.split(' ').map(|word| word.trim_matches('"').to_owned()).find(|word| word.starts_with("20")).unwrap()
    };
    let beastd = date(include_str!("../../../packaging/man/beastd.1"));
    assert!(beastd.len() == 10 && beastd.split('-').all(|part| part.parse::<u32>().is_ok()), "{beastd}");
    let beast = Beast::alone();
    for arguments in [&["man"][..], &["man", "run"]] {
        assert_eq!(date(&beast.run(arguments, b"").stdout), beastd);
    }
    // `## [0.1.0] - 2026-12-01`; there may be no release yet.
    let changelog = include_str!("../../../CHANGELOG.md");
    let released = changelog.lines().filter_map(|line| line.strip_prefix("## [")?.split_once("] - ")).next();
    assert!(released.is_none_or(|(_, day)| day == beastd), "released {released:?}, the pages say {beastd}");
}
