//! The scripts for Raycast and Alfred, as far as they can be tested without a Mac.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use beast_protocol::{ErrorCode, Event, Generate, WireError};
use serde_json::Value;

use crate::{
    alfred::{check_items, check_view, is_over, job, look_again},
    harness::{Ran, spawn},
    hook::{Repo, write_program},
};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("integrations").join(name)
}

fn scripts(name: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "sh")).collect()
}

/// Checks what Raycast's documentation requires of a script command.
fn check_raycast(path: &Path) {
    const KNOWN: &[&str] = &[
        "schemaVersion",
        "title",
        "mode",
        "packageName",
        "icon",
        "iconDark",
        "currentDirectoryPath",
        "needsConfirmation",
        "refreshTime",
        "argument1",
        "argument2",
        "argument3",
        "author",
        "authorURL",
        "description",
    ];
    let text = fs::read_to_string(path).unwrap();
    let name = path.display();
    assert!(!path.to_str().unwrap().contains(".template."), "{name}");
    assert!(path.metadata().unwrap().permissions().mode() & 0o111 == 0o111, "{name}: executable by all");
    assert!(text.starts_with("#!/bin/sh\n"), "{name}: no login shell");
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let head = text.lines().position(|line| is_code(&line)).unwrap();
    let metadata: Vec<(&str, &str)> = text
        .lines()
        .enumerate()
        .filter_map(|(n, line)| Some((n, line.strip_prefix("# @raycast.")?)))
        .inspect(|(n, _)| assert!(*n < head, "{name}:{n}: behind the code"))
        .map(|(_, line)| line.split_once(' ').unwrap())
        .collect();
    let value = |key: &str| metadata.iter().find(|(name, _)| *name == key).map(|(_, value)| value.trim());
    for (key, value) in &metadata {
        assert!(KNOWN.contains(key) && !value.trim().is_empty(), "{name}: {key}");
        assert_eq!(metadata.iter().filter(|(other, _)| other == key).count(), 1, "{name}: {key} twice");
    }
    assert_eq!(value("schemaVersion"), Some("1"), "{name}");
    assert!(value("title").is_some(), "{name}");
    let mode = value("mode").unwrap();
    assert!(["fullOutput", "compact", "silent", "inline"].contains(&mode), "{name}: {mode}");
    assert_eq!(mode == "inline", value("refreshTime").is_some(), "{name}");
    let arguments: Vec<_> = ["argument1", "argument2", "argument3"].map(value).into_iter().collect();
    assert!(arguments.windows(2).all(|pair| pair[0].is_some() || pair[1].is_none()), "{name}: a gap in the arguments");
    for argument in arguments.into_iter().flatten() {
        let argument: Value = serde_json::from_str(argument).unwrap();
        assert_eq!(argument["type"], "text", "{name}");
        assert!(argument["placeholder"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
        assert!(argument.get("optional").is_none_or(Value::is_boolean), "{name}");
    }
    // Only a window can show text as it grows.
    assert_eq!(mode != "fullOutput", text.contains("--no-stream"), "{name}");
}

#[test]
fn raycast_would_list_them() {
    let mut names: Vec<String> = Vec::new();
    for path in scripts("raycast") {
        check_raycast(&path);
        names.push(path.file_name().unwrap().to_str().unwrap().into());
    }
    names.sort();
    assert_eq!(names, ["ask.sh", "commit-message.sh", "fix-clipboard.sh", "summarize-selection.sh"]);
}

#[test]
fn every_script_is_one_to_a_plain_shell() {
    for path in ["raycast", "alfred", "alfred/workflow"].into_iter().flat_map(scripts) {
        let checked = spawn(Command::new("/bin/sh").arg("-n").arg(&path)).wait().unwrap();
        assert!(checked.success(), "{}", path.display());
    }
}

/// A fake of a Mac's clipboard commands.
struct Desk {
    repo: Repo,
}

impl Desk {
    fn new() -> Self {
        let repo = Repo::new();
        fs::create_dir(repo.beast.path("mac")).unwrap();
        let clipboard = repo.beast.path("clipboard");
        write_program(&repo.beast.path("mac/pbpaste"), &format!("#!/bin/sh\ncat '{}'", clipboard.display()));
        write_program(&repo.beast.path("mac/pbcopy"), &format!("#!/bin/sh\ncat > '{}'", clipboard.display()));
        repo.beast.write("clipboard", "Some text.");
        Self { repo }
    }

    fn clipboard(&self) -> String {
        fs::read_to_string(self.repo.beast.path("clipboard")).unwrap()
    }

    fn command(&self, path: &Path) -> Command {
        let mut command = Command::new(path);
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.repo.beast.path("mac").display()))
            .env("HOME", self.repo.beast.dir.path())
            .env("XDG_CONFIG_HOME", self.repo.beast.path("config"))
            .env("BEAST_SOCKET", self.repo.beast.socket())
            .env("BEASTCTL", &self.repo.beast.program)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .current_dir(self.repo.beast.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn raycast(&self, name: &str, arguments: &[&str]) -> Ran {
        let mut command = self.command(&folder("raycast").join(name));
        Ran::of(spawn(command.args(arguments)), self.repo.beast.dir.path())
    }

    /// Runs with a daemon that replies `answer`, or fails without one; returns the outcome and the request.
    fn asked(&self, answer: Option<&'static str>, run: impl FnOnce() -> Ran) -> (Ran, Generate) {
        let daemon = self.repo.beast.daemon(move |peer| {
            let request = peer.generate();
            match answer {
                Some(answer) => peer.answer(&[answer]),
                None => {
                    let message = "the model is gone; try: beastctl stop";
                    peer.send(&Event::Failed(WireError::new(ErrorCode::ModelUnavailable, message)));
                }
            }
            request
        });
        let ran = run();
        fs::remove_file(self.repo.beast.socket()).unwrap();
        (ran, daemon.join().unwrap())
    }
}

#[test]
fn raycast_scripts_answer_in_their_place() {
    let desk = Desk::new();
    let (ran, request) = desk.asked(Some("Short."), || desk.raycast("summarize-selection.sh", &[]));
    assert_eq!(ran.report(), "exit 0\nout: \"Short.\\n\"\nerr: ");
    assert_eq!(request.messages[1].content, "Some text.");
    let (ran, request) = desk.asked(Some("Because."), || desk.raycast("ask.sh", &["--why? it's \"so\""]));
    assert_eq!(ran.report(), "exit 0\nout: \"Because.\\n\"\nerr: ");
    assert_eq!(request.messages[1].content, "--why? it's \"so\"");
    let (ran, _) = desk.asked(Some("Some text, corrected.\nTwice."), || desk.raycast("fix-clipboard.sh", &[]));
    assert_eq!(ran.report(), "exit 0\nout: \"Clipboard corrected\\n\"\nerr: ");
    assert_eq!(desk.clipboard(), "Some text, corrected.\nTwice.");

    desk.repo.stage("b", "b\n");
    let top = desk.repo.top.to_str().unwrap().to_owned();
    for repository in [top.as_str(), "~/repo", "repo"] {
        let (ran, request) = desk.asked(Some("Add b\n\nMore."), || desk.raycast("commit-message.sh", &[repository]));
        assert_eq!(ran.report(), "exit 0\nout: \"Add b\\n\"\nerr: ", "{repository}");
        assert!(request.messages[1].content.starts_with("diff --git a/b b/b\n"));
        // Like the hook, it takes only the subject.
        assert_eq!(desk.clipboard(), "Add b");
    }
    // Warnings are not part of the message.
    desk.repo.stage("c", b"caf\xe9\n");
    let (ran, _) = desk.asked(Some("Add c"), || desk.raycast("commit-message.sh", &["repo"]));
    assert_eq!((ran.report().as_str(), desk.clipboard().as_str()), ("exit 0\nout: \"Add c\\n\"\nerr: ", "Add c"));
}

#[test]
fn a_clipboard_that_cannot_be_mended_stays() {
    let desk = Desk::new();
    desk.repo.beast.write("clipboard", " \n\t");
    for name in ["fix-clipboard.sh", "summarize-selection.sh"] {
        assert_eq!(desk.raycast(name, &[]).report(), "exit 1\nout: \"The clipboard is empty\\n\"\nerr: ", "{name}");
    }
    desk.repo.beast.write("clipboard", b"caf\xe9 is god");
    let (ran, _) = desk.asked(Some("Caf is good"), || desk.raycast("fix-clipboard.sh", &[]));
    let warning = "beastctl: warning: 1 byte of invalid UTF-8 was replaced in stdin";
    assert_eq!((ran.code, ran.stdout.trim_end()), (Some(1), warning), "{ran:?}");
    assert_eq!(fs::read(desk.repo.beast.path("clipboard")).unwrap(), b"caf\xe9 is god");
}

#[test]
fn raycast_shows_the_last_line_of_what_fails() {
    let desk = Desk::new();
    desk.repo.stage("b", "b\n");
    for (name, arguments) in [
        ("summarize-selection.sh", &[][..]),
        ("ask.sh", &["why?"]),
        ("fix-clipboard.sh", &[]),
        ("commit-message.sh", &["repo"]),
    ] {
        let (ran, _) = desk.asked(None, || desk.raycast(name, arguments));
        assert_ne!(ran.code, Some(0), "{name}");
        let last = ran.stdout.lines().last();
        assert_eq!(last, Some("beastctl: the model is gone; try: beastctl stop"), "{name}: {ran:?}");
    }
    assert_eq!(desk.clipboard(), "Some text.");
    desk.repo.git(&["reset", "-q", "--hard"]);
    for (folder, last) in [("repo", "Nothing is staged; try: git add FILE"), (".", "fatal: not a git repository")] {
        let ran = desk.raycast("commit-message.sh", &[folder]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.lines().last().unwrap().starts_with(last), "{ran:?}");
    }
    // Replacing the text with half of its correction would lose the other half.
    let daemon = desk.repo.beast.daemon(|peer| {
        peer.generate();
        peer.started();
        peer.say(&["Some"]);
        peer.done(beast_protocol::FinishReason::MaxTokens);
    });
    let ran = desk.raycast("fix-clipboard.sh", &[]);
    daemon.join().unwrap();
    assert!(ran.code == Some(1) && ran.stdout.contains("the answer is truncated"), "{ran:?}");
    assert_eq!(desk.clipboard(), "Some text.");
}

#[test]
fn without_beastctl_the_scripts_say_what_to_install() {
    // Other folders where the scripts look; this test cannot control them.
    if ["/usr/local/bin", "/opt/homebrew/bin", "/usr/bin", "/bin"]
        .iter()
        .any(|dir| Path::new(dir).join("beastctl").exists())
    {
        return;
    }
    let desk = Desk::new();
    for path in scripts("raycast") {
        let ran = Ran::of(spawn(desk.command(&path).env_remove("BEASTCTL")), desk.repo.beast.dir.path());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.stdout.lines().last().unwrap().contains("try: make install"), "{ran:?}");
    }
    for name in ["items.sh", "view.sh"] {
        let mut command = desk.command(&folder("alfred/workflow").join(name));
        let ran = Ran::of(
            spawn(command.env_remove("BEASTCTL").current_dir(folder("alfred/workflow"))),
            desk.repo.beast.dir.path(),
        );
        let object: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert!(object["items"][0]["title"].is_string() && object["response"].is_string(), "{object}");
    }
}

#[test]
fn the_scripts_of_alfred_begin_show_and_stop_an_answer() {
    let desk = Desk::new();
    let run = |name: &str, variables: &[(&str, &str)], argument: &str| {
        let mut command = desk.command(&folder("alfred/workflow").join(name));
        command.current_dir(folder("alfred/workflow")).env("alfred_workflow_cache", desk.repo.beast.path("cache"));
        let ran = Ran::of(spawn(command.envs(variables.iter().copied()).arg(argument)), desk.repo.beast.dir.path());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
        ran.stdout
    };
    let items: Value = serde_json::from_str(&run("items.sh", &[("beast_text", "selected")], "tldr")).unwrap();
    check_items(&items);
    assert_eq!(
        (&items["items"][0]["arg"], &items["items"][0]["variables"]["beast_prompt"]),
        (&"selected".into(), &"tldr".into())
    );

    let answer = |variables: &[(&str, &str)], argument: &str| {
        let daemon = desk.repo.beast.daemon(|peer| {
            let request = peer.generate();
            peer.answer(&["Yes."]);
            request
        });
        let show = |variables: &[(&str, &str)]| -> Value {
            serde_json::from_str(&run("view.sh", variables, argument)).unwrap()
        };
        let first = show(variables);
        check_view(&first);
        assert!(!is_over(&first), "{first}");
        let job = job(&first);
        let view = look_again(|| show(&[variables, &[("beast_job", &job)]].concat()), is_over);
        fs::remove_file(desk.repo.beast.socket()).unwrap();
        assert_eq!((&view["response"], &view["variables"]["beast_last"]), (&"Yes.".into(), &job.as_str().into()));
        let request = daemon.join().unwrap();
        run("cancel.sh", &[("beast_job", &job)], "");
        request.messages[1].content.clone()
    };
    assert_eq!(answer(&[("beast_prompt", "tldr")], "typed"), "typed");
    assert_eq!(answer(&[("beast_prompt", "tldr")], ""), "Some text.", "the clipboard");
    assert_eq!(answer(&[("beast_prompt", "ask"), ("beast_question", "why?")], "typed"), "typed\n\nwhy?");
    assert_eq!(
        answer(&[("beast_prompt", "ask"), ("beast_question", "why?"), ("beast_last", "1-1")], "and then?"),
        "and then?"
    );
}

#[test]
fn the_workflow_is_one_that_alfred_imports() {
    let path = folder("alfred/workflow/info.plist");
    let plist = plist::Value::from_file(&path).unwrap();
    let plist = plist.as_dictionary().unwrap();
    let text = |key: &str| plist.get(key).and_then(plist::Value::as_string).unwrap_or_else(|| panic!("{key}"));
    for key in ["bundleid", "name", "description", "createdby", "version", "readme", "webaddress", "category"] {
        text(key);
    }
    assert!(text("bundleid").split('.').count() >= 3 && !text("name").is_empty());
    assert_eq!(plist.get("disabled").and_then(plist::Value::as_boolean), Some(false));

    let objects = plist["objects"].as_array().unwrap();
    let object = |n: usize, key: &str| objects[n].as_dictionary().unwrap()[key].clone();
    let uids: Vec<String> = (0..objects.len()).map(|n| object(n, "uid").as_string().unwrap().into()).collect();
    let kinds: Vec<String> = (0..objects.len()).map(|n| object(n, "type").as_string().unwrap().into()).collect();
    for (n, uid) in uids.iter().enumerate() {
        assert_eq!(uids.iter().filter(|other| *other == uid).count(), 1, "{uid}");
        assert!(kinds[n].starts_with("alfred.workflow."), "{}", kinds[n]);
        assert!(
            object(n, "version").as_signed_integer().is_some() && object(n, "config").as_dictionary().is_some(),
            "{uid}"
        );
    }
    for kind in
        ["input.scriptfilter", "trigger.universalaction", "trigger.external", "userinterface.text", "action.script"]
    {
        assert!(kinds.contains(&format!("alfred.workflow.{kind}")), "{kind}");
    }
    let connections = plist["connections"].as_dictionary().unwrap();
    for (from, targets) in connections {
        assert!(uids.contains(from), "{from}");
        for target in targets.as_array().unwrap() {
            let target = target.as_dictionary().unwrap();
            assert!(uids.contains(&target["destinationuid"].as_string().unwrap().to_owned()), "{target:?}");
            assert!(target["modifiers"].as_signed_integer().is_some() && target["vitoclose"].as_boolean().is_some());
        }
    }
    let places = plist["uidata"].as_dictionary().unwrap();
    assert!(uids.iter().all(|uid| places.contains_key(uid)) && places.keys().all(|uid| uids.contains(uid)));

    // The scripts that the workflow calls exist and are executable.
    let whole = fs::read_to_string(&path).unwrap();
    for path in scripts("alfred/workflow") {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name != "beastctl.sh" {
            assert!(whole.contains(name), "{name}");
            assert!(path.metadata().unwrap().permissions().mode() & 0o111 == 0o111, "{name}");
        }
    }
    let settings = plist["userconfigurationconfig"].as_array().unwrap();
    let variables: Vec<_> =
        settings.iter().map(|setting| setting.as_dictionary().unwrap()["variable"].as_string()).collect();
    assert_eq!(variables, [Some("beast_keyword"), Some("beastctl_path")]);
}

#[test]
fn the_workflow_is_packed() {
    let desk = Desk::new();
    let out = desk.repo.beast.path("out/beast.alfredworkflow");
    fs::create_dir(out.parent().unwrap()).unwrap();
    for _ in 0..2 {
        let ran = Ran::of(spawn(desk.command(&folder("alfred/pack.sh")).arg(&out)), desk.repo.beast.dir.path());
        if ran.stderr.contains("zip is not installed") {
            assert_eq!(ran.code, Some(1));
            return;
        }
        assert_eq!(ran.report(), "exit 0\nout: \"DIR/out/beast.alfredworkflow\\n\"\nerr: ");
    }
    let bytes = fs::read(out).unwrap();
    assert!(bytes.starts_with(b"PK"));
    let has = |name: &str| bytes.windows(name.len()).any(|window| window == name.as_bytes());
    for name in ["info.plist", "beastctl.sh", "items.sh", "view.sh", "cancel.sh"] {
        assert!(has(name), "{name}");
    }
}
