//! A test's own files: configuration, cache, state, socket; and the programs with an environment that refers to
//! nothing else.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{Beast, Client, Output, Running, eventually, run};

/// How long a daemon that was left behind may take for its handshake. Sockets on which the test itself listens never
/// answer one.
const PARTING: Duration = Duration::from_secs(5);

/// A folder that contains all files of the programs. On drop, ends a daemon that was left in the background.
#[derive(Debug)]
pub struct Home {
    dir: TempDir,
    cache: PathBuf,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// An empty home.
    ///
    /// All homes share one cache folder, which contains only the unpacked built-in model: writing and syncing 16 MB
    /// for each of a hundred daemons would take longer than all tests.
    pub fn new() -> Self {
        let mut home = Self::with_own_cache();
        home.cache = target().join("beast-tests-cache");
        home
    }

    /// A home in which the built-in model is not unpacked yet.
    pub fn with_own_cache() -> Self {
        // Not $TMPDIR, which is so long on macOS that socket paths below it would exceed their limit.
        let dir = tempfile::Builder::new().prefix("beast-").tempdir_in("/tmp").expect("a folder can be made in /tmp");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).expect("it is ours");
        let cache = dir.path().join("cache");
        Self { dir, cache }
    }

    /// A path in the home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file in the home, and creates its folders.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it lies in the home")).expect("the home is writable");
        std::fs::write(&path, bytes).expect("the home is writable");
        path
    }

    /// Writes the configuration.
    pub fn configure(&self, toml: &str) -> PathBuf {
        self.write("config/beast/config.toml", toml)
    }

    /// The default socket.
    pub fn socket(&self) -> PathBuf {
        let usual = if cfg!(target_os = "macos") { "Library/Application Support/beast" } else { "run/beast" };
        self.path(usual).join("beastd.sock")
    }

    /// The folder of the log files.
    pub fn log_dir(&self) -> PathBuf {
        self.path(if cfg!(target_os = "macos") { "Library/Logs/beast" } else { "state/beast/logs" })
    }

    /// The contents of all log files.
    pub fn log_files(&self) -> String {
        let files = std::fs::read_dir(self.log_dir()).into_iter().flatten().flatten();
        files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect()
    }

    /// The folder of cached prefixes, for a home with a cache of its own.
    pub fn prefixes(&self) -> PathBuf {
        self.unpacked().with_file_name("prefixes")
    }

    /// Path of the unpacked built-in model.
    pub fn unpacked(&self) -> PathBuf {
        let folder = if cfg!(target_os = "macos") { self.path("Library/Caches") } else { self.cache.clone() };
        folder.join("beast/cub.gguf")
    }

    /// `beastctl` in this home.
    pub fn ctl(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(program("beastctl"));
        command.args(arguments);
        command
    }

    /// Runs `beastctl` with an empty stdin.
    pub fn run(&self, arguments: &[&str]) -> Output {
        run(&mut self.ctl(arguments), "")
    }

    /// Starts `beastctl` with an empty stdin.
    pub fn begin(&self, arguments: &[&str]) -> Running {
        Running::start(&mut self.ctl(arguments), "")
    }

    /// A shell command in this home, with the programs in its PATH.
    pub fn shell(&self, line: &str) -> Command {
        let mut command = self.command("/bin/sh");
        command.args(["-c", line]).env("PATH", format!("{}:/usr/bin:/bin", profile_dir().display()));
        command
    }

    /// `beastd` in this home.
    pub fn beastd(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(program("beastd"));
        command.args(arguments);
        command
    }

    /// `beastd` in this home, started by a shell command in which `"$@"` is the program.
    pub fn beastd_through(&self, shell: &str, arguments: &[&str]) -> Command {
        let mut command = self.command("/bin/sh");
        command.args(["-c", shell, "sh"]).arg(program("beastd")).args(arguments);
        command
    }

    /// Starts the daemon with these settings, `KEY=VALUE`, and waits until its socket answers.
    pub fn start(self, settings: &[&str]) -> Beast {
        let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        let command = self.beastd(&arguments);
        Beast::launch(self, command)
    }

    /// The same for a daemon that also serves HTTP, on a free port: see [`Beast::http`].
    pub fn start_http(self, settings: &[&str]) -> Beast {
        let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        let mut command = self.beastd(&arguments);
        command.env("BEAST_HTTP_LISTEN", "127.0.0.1:0");
        Beast::launch(self, command)
    }

    /// Any program, with the environment of this home and nothing else.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.dir.path()).stdin(Stdio::null());
        command.env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8").env("HOME", self.dir.path());
        command.env("XDG_CACHE_HOME", &self.cache);
        if !self.cache.starts_with(self.dir.path()) {
            // Prefixes that one test leaves on disk must not affect another.
            command.env("BEAST_PREFIX_DISK_MIB", "0");
        }
        for (name, folder) in [
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_STATE_HOME", "state"),
        ] {
            command.env(name, self.path(folder));
        }
        // Several daemons compute at the same time here, and none may take all cores.
        command.env("BEAST_N_THREADS", "1");
        // So that all tests can run as on a CPU with less than this one has.
        if let Some(set) = std::env::var_os("BEAST_TEST_INSTRUCTION_SET") {
            command.env("BEAST_TEST_INSTRUCTION_SET", set);
        }
        command
    }

    /// Makes the next daemon wait in the middle of loading until [`Gate::open`]. The test holds the lock for
    /// unpacking the built-in model, so the daemon waits for it to finish.
    pub fn gate(&self) -> Gate {
        let model = self.unpacked();
        assert!(model.starts_with(self.dir.path()), "the shared cache is not to be held: use Home::with_own_cache");
        let folder = model.parent().expect("it has a folder");
        std::fs::create_dir_all(folder).expect("the home is writable");
        let folder = std::fs::File::open(folder).expect("it was just made");
        folder.lock().expect("nobody else holds it");
        Gate { folder }
    }

    /// A named pipe without a writer.
    pub fn pipe(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it lies in the home")).expect("the home is writable");
        let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo is part of every system");
        assert!(made.success(), "cannot make {}", path.display());
        path
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let entries = std::fs::read_dir(self.dir.path()).into_iter().flatten().flatten().map(|entry| entry.path());
        let others = entries.filter(|path| path.extension().is_some_and(|extension| extension == "sock"));
        for socket in others.chain([self.socket()]) {
            kill_daemon(&socket);
        }
    }
}

/// Kills the process that answers a handshake on a socket of a test, which can only be a daemon that the test has
/// started in the background.
fn kill_daemon(socket: &Path) {
    let Ok(client) = Client::connect_within(socket, PARTING) else { return };
    let pid = i32::try_from(client.welcome.pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
    // Fails if it ends by itself at this moment.
    let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
    if !std::thread::panicking() {
        eventually(|| UnixStream::connect(socket).is_err());
    }
}

/// See [`Home::gate`].
#[derive(Debug)]
pub struct Gate {
    folder: std::fs::File,
}

impl Gate {
    pub fn open(self) {
        self.folder.unlock().expect("it is locked");
    }
}

/// A program of the project in cargo's output folder: beside the folder of the test's own executable.
fn program(name: &str) -> PathBuf {
    let path = profile_dir().join(name);
    assert!(path.is_file(), "{} is missing; run make test, which builds it", path.display());
    path
}

/// The folder `target/release`.
fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the system knows what runs");
    let folder = exe.parent().expect("it lies in a folder");
    // Tests are in target/PROFILE/deps, programs one level above.
    let is_test = folder.ends_with("deps");
    if is_test { folder.parent().expect("deps lies in a folder").to_owned() } else { folder.to_owned() }
}

fn target() -> PathBuf {
    profile_dir().parent().expect("a profile lies in the target folder").to_owned()
}
