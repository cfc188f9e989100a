//! Finds GPU plug-ins, tries each in a child process before loading it, and chooses a device. A broken plug-in costs
//! the GPU, never the daemon.
//!
//! May know: settings, files, processes, the engine's devices. Never knows: models, requests.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use beast_launchd::file;
use object::read::{ReadCache, ReadRef};
use object::{Object, ObjectSection};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::engine::{self, Device};
use crate::logging;
use crate::trial;

/// The program's hidden option.
pub const OPTION: &str = "--try-backend";
/// Identifies the llama.cpp sources of this program (`build/plugins.rs`).
const BUILD: Option<&str> = option_env!("BEAST_PLUGIN_BUILD");
/// The section in which a plug-in identifies its sources (`.ci/plugin.cmake`).
const SECTION: &str = ".beast_build";
/// Time limit of a trial. Initializing eight cards takes seconds.
const LIMIT: Duration = Duration::from_secs(10);
/// Interval for checking whether a trial has ended.
const LOOK: Duration = Duration::from_millis(10);
/// Limit of a trial's output, in bytes.
const MAX_SAID: usize = 64 << 10;

/// A kind of GPU backend.
struct Kind {
    /// The value of `backend`.
    setting: &'static str,
    label: &'static str,
    file: &'static str,
}

/// The fastest first.
const KINDS: [Kind; 3] = [
    Kind { setting: "cuda", label: "CUDA", file: "libggml-cuda.so" },
    Kind { setting: "rocm", label: "ROCm", file: "libggml-hip.so" },
    Kind { setting: "vulkan", label: "Vulkan", file: "libggml-vulkan.so" },
];

/// Where to compute.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    /// The GPU, with its current memory; `None` for the CPU.
    pub device: Option<Device>,
    /// Why a GPU is not used, a line each.
    pub problems: Vec<String>,
}

/// Chooses a device. Plug-ins are loaded once per process; memory is read each time.
pub fn choose(config: &Config) -> Choice {
    static LOADED: OnceLock<Vec<String>> = OnceLock::new();
    if config.backend == "cpu" {
        return Choice::default();
    }
    let mut problems = LOADED.get_or_init(|| load_plugins(config)).clone();
    let device = pick(&engine::devices(), &config.device).unwrap_or_else(|problem| {
        problems.push(problem);
        pick(&engine::devices(), "auto").ok().flatten()
    });
    Choice { device, problems }
}

/// Loads the first plug-in that works, unless the program has a GPU backend built in, as with Metal. Returns why others
/// were rejected.
fn load_plugins(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    if !cfg!(target_os = "linux") || !engine::devices().is_empty() {
        return problems;
    }
    let folders = folders(&config.backend_dir);
    for kind in KINDS.iter().filter(|kind| config.backend == "auto" || config.backend == kind.setting) {
        let Some(path) = folders.iter().map(|folder| folder.join(kind.file)).find(|path| path.exists()) else {
            if config.backend == kind.setting {
                let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
                let (label, file, folders) = (kind.label, kind.file, folders.join(" or "));
                problems.push(format!("no {label} plug-in: {file} not found in {folders}; using the CPU"));
            }
            continue;
        };
        let began = Instant::now();
        match load_plugin(&path) {
            Ok(devices) => {
                let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                let names: Vec<_> = devices.iter().map(|device| &*device.name).collect();
                tracing::info!(path = %path.display(), devices = %names.join(", "), ms, "GPU plug-in loaded");
                break;
            }
            Err(reason) => {
                let problem = format!("cannot use {} plug-in {}: {reason}", kind.label, path.display());
                tracing::warn!("{problem}");
                problems.push(problem);
            }
        }
    }
    problems
}

/// The folders of plug-ins.
fn folders(setting: &Path) -> Vec<PathBuf> {
    if setting != Path::new("auto") {
        return vec![setting.to_owned()];
    }
    let Ok(program) = std::env::current_exe() else { return Vec::new() };
    let beside = program.parent().unwrap_or(Path::new("/"));
    let prefix = beside.parent().unwrap_or(Path::new("/"));
    vec![prefix.join("lib/beast"), beside.to_owned()]
}

/// Loads a plug-in of this build after a trial.
fn load_plugin(path: &Path) -> Result<Vec<Device>, String> {
    check_build(path)?;
    let child = trial::start(OPTION, path).map_err(|error| format!("cannot start its trial: {error}"))?;
    let said = listen(child, LIMIT)?;
    match verdict(&said)? {
        0 => Err("no device found; try: check that the driver is installed and that this user may use it".into()),
        _ => engine::load_plugin(path).ok_or_else(|| because("llama.cpp cannot load it")),
    }
}

/// A reason, with llama.cpp's last error.
fn because(reason: &str) -> String {
    logging::take_engine_error().map_or(reason.to_owned(), |error| format!("{reason} ({error})"))
}

/// Compares builds by reading the file, without running any of its code.
fn check_build(path: &Path) -> Result<(), String> {
    let file = file::open(path).map_err(|error| format!("cannot read the file: {error}"))?;
    let cache = ReadCache::new(file);
    let build = build_of(&cache)?;
    match BUILD {
        Some(ours) if ours == build => Ok(()),
        ours => Err(format!(
            "built for another version (build {build}, beastd needs {}); try: install the plug-in of this \
             version",
            ours.unwrap_or("none")
        )),
    }
}

fn build_of<'data>(data: impl ReadRef<'data>) -> Result<String, String> {
    let none = || "not a beastd plug-in; try: install the package beast-cuda or beast-vulkan".to_owned();
    let library = object::File::parse(data).map_err(|_| none())?;
    let section = library.section_by_name(SECTION).ok_or_else(none)?;
    let text = section.data().map_err(|_| none())?;
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let is_name = (1..=64).contains(&text.len()) && text.iter().all(u8::is_ascii_alphanumeric);
    if is_name { Ok(String::from_utf8_lossy(text).into_owned()) } else { Err(none()) }
}

/// A child that is killed when its trial is over.
struct Tried(Child);

impl Drop for Tried {
    fn drop(&mut self) {
        // It has ended, or its result is no longer needed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The output of a trial that succeeds.
fn listen(child: Child, limit: Duration) -> Result<Vec<u8>, String> {
    let hangs = || format!("its trial did not finish within {} s", limit.as_secs());
    let failed = |error: io::Error| format!("cannot read from its trial: {error}");
    let until = Instant::now() + limit;
    let mut child = Tried(child);
    // A driver's messages must not fill the pipe.
    if let Some(mut stderr) = child.0.stderr.take() {
        thread::spawn(move || io::copy(&mut stderr, &mut io::sink()));
    }
    let mut stdout = child.0.stdout.take().ok_or("its trial has no output")?;
    let (mut said, mut block) = (Vec::new(), [0; 4096]);
    loop {
        let left = until.checked_duration_since(Instant::now()).ok_or_else(hangs)?;
        let left = Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(0), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&left)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(failed(error.into())),
        }
        match stdout.read(&mut block).map_err(failed)? {
            0 => break,
            n if said.len() + n <= MAX_SAID => said.extend_from_slice(&block[..n]),
            _ => return Err("its trial writes too much".into()),
        }
    }
    let status = loop {
        match child.0.try_wait().map_err(failed)? {
            Some(status) => break status,
            None if Instant::now() >= until => return Err(hangs()),
            None => thread::sleep(LOOK),
        }
    };
    match status.success() {
        true => Ok(said),
        false => Err(format!("loading it crashes ({status})")),
    }
}

/// The result of a trial: one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Devices(Vec<SaidDevice>),
    Error(String),
}

#[derive(Debug, Serialize, Deserialize)]
struct SaidDevice {
    name: String,
    description: String,
    n_total: u64,
    n_free: u64,
}

/// The number of devices. Drivers may print other lines first.
fn verdict(said: &[u8]) -> Result<usize, String> {
    let said = String::from_utf8_lossy(said);
    let last = said.lines().rev().find(|line| line.starts_with('{'));
    match last.and_then(|line| serde_json::from_str(line).ok()) {
        Some(Said::Devices(devices)) => Ok(devices.len()),
        Some(Said::Error(error)) => Err(error),
        None => Err("invalid output from its trial".into()),
    }
}

/// The child's half: loads the plug-in and describes its devices.
///
/// # Errors
/// When its output cannot be written.
pub fn child(path: &Path) -> Result<(), String> {
    trial::begin_child();
    let said = check_build(path).and_then(|()| {
        let devices = engine::load_plugin(path).ok_or_else(|| because("llama.cpp cannot load it"))?;
        Ok(devices.into_iter().map(|Device { name, description, n_total, n_free, .. }| SaidDevice {
            name,
            description,
            n_total,
            n_free,
        }))
    });
    let said = match said {
        Ok(devices) => Said::Devices(devices.collect()),
        Err(error) => Said::Error(error),
    };
    let line = serde_json::to_string(&said).map_err(|error| error.to_string())?;
    let mut out = io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| format!("cannot write the result: {error}"))
}

/// The device named by `setting`, or the one with the most free memory.
fn pick(devices: &[Device], setting: &str) -> Result<Option<Device>, String> {
    if setting == "auto" || devices.is_empty() {
        // The first of equals: `max_by_key` would take the last.
        return Ok(devices.iter().rev().max_by_key(|device| device.n_free).cloned());
    }
    let by_number = setting.parse().ok().and_then(|n: usize| devices.get(n));
    let named = devices.iter().find(|device| device.name.eq_ignore_ascii_case(setting));
    named.or(by_number).cloned().map(Some).ok_or_else(|| {
        let names: Vec<_> = devices.iter().map(|device| &*device.name).collect();
        format!("device = \"{setting}\" not found; try: one of {}, or auto", names.join(", "))
    })
}

#[cfg(test)]
#[path = "backends_tests.rs"]
mod tests;
