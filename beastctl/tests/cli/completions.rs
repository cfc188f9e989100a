//! The scripts in their shells. Tests of a shell that is not installed are skipped, with a message.

use std::{
    env,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

use crate::harness::{Beast, PATIENCE, Ran, feed};

/// The output of a shell that runs this script, with beastctl in PATH; `None` if the shell is not installed.
fn told(beast: &Beast, shell: &[&str], script: &str) -> Option<String> {
    let installed = Command::new(shell[0]).arg("-c").arg("true").stdin(Stdio::null()).output();
    if installed.is_err() {
        return None;
    }
    let path = env::join_paths([beast.program.parent()?, "/usr/bin".as_ref(), "/bin".as_ref()]).unwrap();
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg("-c").arg(script).current_dir(beast.dir.path()).env_clear().env("PATH", path);
    command.env("HOME", beast.dir.path()).env("XDG_CONFIG_HOME", beast.path("config")).env("TERM", "dumb");
    command.env("XDG_DATA_HOME", beast.path("data"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (tell, hear) = mpsc::channel();
    let child = feed(command, b"");
    let process = rustix::process::Pid::from_child(&child);
    let dir = beast.dir.path().to_owned();
    thread::spawn(move || tell.send(Ran::of(child, &dir)));
    // The shell could hang.
    let Ok(ran) = hear.recv_timeout(PATIENCE) else {
        let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        panic!("{shell:?} does not end");
    };
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{shell:?}: {ran:?}");
    Some(ran.stdout)
}

/// A home with a prompt, models and conversations.
fn home() -> Beast {
    let beast = Beast::new();
    beast.write("config/beast/prompts/haiku.md", "---\ndescription: Three lines\n---\nx");
    beast.write("config/beast/prompts/extra.md", "broken {{");
    beast.write("config/beast/prompts/two words.md", "x");
    let data = if cfg!(target_os = "macos") { "Library/Application Support/beast" } else { "data/beast" };
    beast.write(&format!("{data}/models/LFM2.gguf"), "");
    beast.write(&format!("{data}/models/notes.txt"), "");
    beast.write("letter.txt", "x");
    beast
}

/// The candidates for the last word.
fn bash(beast: &Beast, words: &[&str]) -> Option<Vec<String>> {
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    // As in bash: a separator is not part of the word being typed.
    let last = if words.last() == Some(&"=") { "''" } else { quoted.last()? };
    let script = format!(
        "eval \"$(beastctl completions bash)\"\n\
         complete -p beastctl >/dev/null || exit 9\n\
         COMP_WORDS=({}) COMP_CWORD={} COMP_TYPE=9\n\
         _beastctl beastctl {last} x\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words.len() - 1
    );
    let told = told(beast, &["bash", "--norc", "--noprofile"], &script)?;
    Some(told.lines().map(str::to_owned).collect())
}

#[test]
fn bash_completes_names_options_and_files() {
    let beast = home();
    if bash(&beast, &["beastctl", ""]).is_none() {
        eprintln!("skipped: there is no bash");
        return;
    }
    for (words, expected) in [
        (&["beastctl", "run", "expl"][..], &["explain"][..]),
        (&["beastctl", "run", "ex"], &["explain"]),
        (&["beastctl", "ex"], &["explain"]),
        (&["beastctl", "prompts", "edit", "ex"], &["explain", "extra"]),
        (&["beastctl", "chat", "ti"], &["title"]),
        (&["beastctl", "prompts", ""], &["list", "show", "new", "edit", "path"]),
        (&["beastctl", "man", "prompts", "sh"], &["show"]),
        (&["beastctl", "man", "hoo"], &["hook"]),
        (&["beastctl", "help", "tran"], &["translate"]),
        (&["beastctl", "run", "translate", "-p", ""], &["to="]),
        (&["beastctl", "chat", "translate", "-p", ""], &["to="]),
        (&["beastctl", "translate", "--param", "t"], &["to="]),
        (&["beastctl", "--color", "=", "al"], &["always"]),
        (&["beastctl", "--color", "="], &["auto", "always", "never"]),
        (&["beastctl", "--color", "=", "never", "translate", "-p", "t"], &["to="]),
        (&["beastctl", "-p", "to", "=", "no-such"], &[""]),
        (&["beastctl", "hai"], &["haiku"]),
        (&["beastctl", "run", "two"], &["two\\ words"]),
        (&["beastctl", "sta"], &["status"]),
        (&["beastctl", "haiku", "--no-str"], &["--no-stream"]),
        (&["beastctl", "prompts", "sh"], &["show"]),
        (&["beastctl", "prompts", "edit", "tl"], &["tldr"]),
        (&["beastctl", "prompts", "new", "x", "--from", "ti"], &["title"]),
        (&["beastctl", "bench", "--model", "bui"], &["builtin"]),
        (&["beastctl", "summarize", "--truncate", "m"], &["middle"]),
        (&["beastctl", "completions", "z"], &["zsh"]),
        (&["beastctl", "run", "nothing-like-it"], &[""]),
    ] {
        assert_eq!(bash(&beast, words).unwrap(), expected, "{words:?}");
    }
    let models = bash(&beast, &["beastctl", "bench", "--model", "LF"]).unwrap();
    assert!(models.len() == 1 && models[0].ends_with("beast/models/LFM2.gguf"), "{models:?}");
}

#[test]
fn a_home_that_cannot_be_read_still_completes_what_is_built_in() {
    let beast = Beast::new();
    beast.write("config/beast/prompts", "no folder");
    if let Some(found) = bash(&beast, &["beastctl", "run", "ex"]) {
        assert_eq!(found, ["explain"]);
    } else {
        eprintln!("skipped: there is no bash");
    }
}

#[test]
fn fish_completes_with_descriptions() {
    let beast = home();
    let complete = |line: &str| {
        let script = format!("beastctl completions fish | source\ncomplete -C '{line}'");
        told(&beast, &["fish", "--no-config"], &script)
    };
    let Some(found) = complete("beastctl run expl") else {
        eprintln!("skipped: there is no fish");
        return;
    };
    assert_eq!(found, "explain\tExplain code, a command or a message\n");
    assert_eq!(complete("beastctl hai").unwrap(), "haiku\tThree lines\n");
    assert_eq!(complete("beastctl haiku let").unwrap(), "letter.txt\n");
    assert_eq!(complete("beastctl bench --model bui").unwrap(), "builtin\tthe built-in one\n");
}

/// zsh in a terminal of its own, with text typed and Tab pressed.
#[test]
fn zsh_completes_what_is_typed() {
    let beast = home();
    let tab_with = |script: &str, line: &str, expected: &str| {
        let script = format!(
            "zmodload zsh/zpty || exit 8\n\
             zpty shell zsh -f -i\n\
             zpty -w shell 'PS1=; unsetopt beep; autoload -U compinit; {script}; echo READY''-NOW'\n\
             zpty -r shell told '*READY-NOW*'\n\
             zpty -n -w shell $'{line}\\t'\n\
             zpty -r shell told '*{expected}*'\n\
             print -r -- \"$told\""
        );
        told(&beast, &["zsh", "-f"], &script)
    };
    let tab =
        |line: &str, expected: &str| tab_with("compinit -u -D; source <(beastctl completions zsh)", line, expected);
    let Some(found) = tab("beastctl run expl", "explain") else {
        eprintln!("skipped: there is no zsh");
        return;
    };
    assert!(found.contains("beastctl run explain"), "{found:?}");
    assert!(tab("beastctl hai", "haiku").unwrap().contains("beastctl haiku"));
    assert!(tab("beastctl run two", "words").unwrap().contains("two\\ words"));
    // As installed by a package: the first Tab runs the script itself.
    let installed = "mkdir -p site; beastctl completions zsh >site/_beastctl; fpath=($PWD/site $fpath); compinit -u -D";
    assert!(tab_with(installed, "beastctl run expl", "explain").unwrap().contains("beastctl run explain"));
}

#[test]
fn the_shell_is_taken_from_the_environment() {
    let beast = Beast::alone();
    let run = |shell: Option<&str>| {
        let mut command = beast.command(&["completions"]);
        if let Some(shell) = shell {
            command.env("SHELL", shell);
        }
        Ran::of(feed(command, b""), beast.dir.path())
    };
    for shell in ["bash", "zsh", "fish"] {
        let asked = beast.run(&["completions", shell], b"");
        assert_eq!(run(Some(&format!("/usr/bin/{shell}"))).stdout, asked.stdout, "{shell}");
        assert!(!asked.stdout.contains(beast.dir.path().to_str().unwrap()), "the script outlives this version's place");
    }
    expect_test::expect![[r#"
        exit 2
        out: ""
        err: beastctl: cannot detect the shell: SHELL is not set; try: beastctl completions bash, zsh or fish
        exit 2
        out: ""
        err: beastctl: cannot detect the shell: SHELL is "/bin/tcsh"; try: beastctl completions bash, zsh or fish
    "#]]
    .assert_eq(&(run(None).report() + &run(Some("/bin/tcsh")).report()));
}

/// A call that our scripts never make exits with a code and no output.
#[test]
fn a_stray_variable_does_no_harm() {
    let beast = Beast::alone();
    for (shell, arguments) in [("bash", &["run"][..]), ("tcsh", &["--", "beastctl", ""]), ("fish", &["--"])] {
        let mut command = beast.command(arguments);
        command.env("BEAST_COMPLETE", shell);
        let ran = Ran::of(feed(command, b""), beast.dir.path());
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(2), "", ""), "{shell}");
    }
    let mut command = beast.command(&["prompts", "path"]);
    command.env("BEAST_COMPLETE", "");
    assert_eq!(Ran::of(feed(command, b""), beast.dir.path()).code, Some(0));
}
