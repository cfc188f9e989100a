//! The git hook, in real repositories.

mod failing;
mod foreign;
mod installing;
mod managers;
mod piped;
mod reading;
mod situations;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::JoinHandle,
};

use beast_protocol::Generate;

use crate::harness::{Beast, Ran, spawn};

/// A repository with one commit, whose editor saves its input and adds a line of its own.
pub(crate) struct Repo {
    pub(crate) beast: Beast,
    pub(crate) top: PathBuf,
}

const EDITOR: &str = r#"PATH=/usr/bin:/bin
cp "$1" "$SEEN"
printf 'By hand.\n' | cat - "$1" > "$1.new" && mv "$1.new" "$1"
"#;

impl Repo {
    /// There is no beastd, unless a test adds one.
    pub(crate) fn new() -> Self {
        Self::named("repo")
    }

    pub(crate) fn named(name: &str) -> Self {
        let beast = Beast::alone();
        let top = beast.path(name);
        fs::create_dir_all(&top).unwrap();
        let repo = Self { beast, top };
        // A PATH with git alone: another beastd on this machine must not answer.
        fs::create_dir(repo.beast.path("bin")).unwrap();
        std::os::unix::fs::symlink(git_program(), repo.beast.path("bin/git")).unwrap();
        repo.beast.write("editor", EDITOR);
        repo.git(&["init", "-q", "-b", "main"]);
        repo.file("README", "one\n");
        repo.git(&["add", "."]);
        repo.git(&["commit", "-q", "--no-verify", "-m", "first"]);
        repo
    }

    pub(crate) fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env_clear()
            .current_dir(&self.top)
            .env("HOME", self.beast.dir.path())
            .env("XDG_CONFIG_HOME", self.beast.path("config"))
            .env("XDG_RUNTIME_DIR", self.beast.dir.path())
            .env("BEAST_SOCKET", self.beast.socket())
            .env("PATH", self.beast.path("bin"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"].map(|name| (name, "A")))
            .envs(["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"].map(|name| (name, "a@example.org")))
            .env("GIT_EDITOR", format!("/bin/sh '{}'", self.beast.path("editor").display()))
            .env("SEEN", self.seen())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
    }

    pub(crate) fn git_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(arguments);
        self.environment(&mut command);
        command
    }

    pub(crate) fn try_git(&self, arguments: &[&str]) -> Ran {
        Ran::of(spawn(&mut self.git_command(arguments)), self.beast.dir.path())
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let ran = self.try_git(arguments);
        assert_eq!(ran.code, Some(0), "git {arguments:?}: {ran:?}");
        ran.stdout
    }

    pub(crate) fn hook(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(&self.beast.program);
        command.arg("hook").args(arguments);
        Ran::of(spawn(self.environment(&mut command)), self.beast.dir.path())
    }

    pub(crate) fn install(&self) {
        let ran = self.hook(&["install"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }

    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.top.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn stage(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.file(name, bytes);
        self.git(&["add", "."]);
    }

    pub(crate) fn seen(&self) -> PathBuf {
        self.beast.path("seen")
    }

    /// The text that the editor was given, without git's comments about the state.
    pub(crate) fn suggested(&self) -> String {
        let text = fs::read_to_string(self.seen()).unwrap();
        let text = text.replace(&self.beast.dir.path().display().to_string(), "DIR");
        text.split("# Please enter").next().unwrap().to_owned()
    }

    pub(crate) fn message(&self) -> String {
        self.git(&["log", "-1", "--format=%B"])
    }

    /// A daemon that answers one request; returns that request.
    pub(crate) fn answering(&self, answer: &'static str) -> JoinHandle<Generate> {
        self.beast.daemon(move |peer| {
            let request = peer.generate();
            peer.answer(&[answer]);
            request
        })
    }

    /// The text about the staged changes that the model gets.
    pub(crate) fn material(&self) -> String {
        let daemon = self.answering("Change things");
        let ran = self.try_git(&["commit"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        fs::remove_file(self.beast.socket()).unwrap();
        daemon.join().unwrap().messages.pop().unwrap().content
    }
}

fn git_program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|folder| folder.join("git")).find(|git| git.is_file()).unwrap()
}

/// Writes a program, in a child process: this process may be forking other children, which would inherit the open file,
/// and a file that is open for writing cannot be run.
pub(crate) fn write_program(path: &Path, text: &str) {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"printf '%s\n' "$2" > "$1"; chmod 755 "$1""#, "sh"]).arg(path).arg(text);
    assert!(spawn(&mut command).wait().unwrap().success());
}
