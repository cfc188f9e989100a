//! `make bench` and `make bench-peers`: beast beside llama.cpp's own programs, on the same machine, with the same
//! model file.
//!
//! The programs to compare run in turn in a single run, and the ratio of their medians counts: absolute speeds of a
//! machine vary by the hour. Every measurement starts the real programs itself, in a home of their own, and ends them
//! by their process id. Rows that miss their requirement stay in the table. Reads `/proc`, so it runs on Linux only.

mod args;
mod ask;
mod beast;
mod beside;
mod calibration;
mod company;
mod footprint;
mod http;
mod latency;
mod loading;
mod machine;
mod peers;
mod prefix;
mod process;
mod report;
mod speed;
mod stats;
mod tasks;
mod words;

use std::{fs, path::PathBuf, process::ExitCode, sync::OnceLock};

use anyhow::{Context as _, Result, bail, ensure};

use args::Args;
use beast::Beast;
use calibration::Calibration;
use machine::{Busy, Machine};
use report::{Report, Row, print, say};

/// If other programs use a larger share of the cores, every number here is random.
const BUSY_LIMIT: f64 = 0.1;

/// What all measurements share.
pub struct Setup {
    /// The GGUF file that both sides load.
    model: PathBuf,
    /// The draft model's GGUF file.
    draft: Option<PathBuf>,
    /// Folder with llama.cpp's programs.
    peers: Option<PathBuf>,
    /// Folder with beastd and beastctl.
    programs: PathBuf,
    n_threads: usize,
    n_repeats: usize,
    /// The daemon's description of its engine, once one has started.
    engine: OnceLock<String>,
    /// The daemon's calibration, once it has been read.
    calibration: OnceLock<Calibration>,
}

impl Setup {
    /// The same with the built-in model, which is not calibrated.
    fn of_cub(&self) -> Self {
        Self {
            model: beast_tests::project("models/cub/cub.gguf"),
            draft: None,
            peers: self.peers.clone(),
            programs: self.programs.clone(),
            n_threads: self.n_threads,
            n_repeats: self.n_repeats,
            engine: OnceLock::new(),
            calibration: OnceLock::new(),
        }
    }
}

struct Measurement {
    name: &'static str,
    run: fn(&Setup) -> Result<Vec<Row>>,
}

struct Group {
    name: &'static str,
    /// Names of the two sides in the table.
    columns: [&'static str; 2],
    measurements: &'static [Measurement],
}

const GROUPS: [Group; 2] = [
    Group { name: "own", columns: ["ours", "peer"], measurements: OWN },
    Group { name: "peers", columns: ["beast", "llama-server"], measurements: beside::MEASUREMENTS },
];

const OWN: &[Measurement] = &[
    Measurement { name: "speed", run: speed::measure },
    Measurement { name: "status", run: latency::status },
    Measurement { name: "client-start", run: latency::client },
    Measurement { name: "lag", run: latency::lag },
    Measurement { name: "first-token", run: latency::first_token },
    Measurement { name: "memory", run: footprint::memory },
    Measurement { name: "client", run: footprint::client },
    Measurement { name: "idle", run: footprint::idle },
    Measurement { name: "loading", run: loading::measure },
    Measurement { name: "prefix", run: prefix::measure },
    Measurement { name: "company", run: company::measure },
];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether everything requested was measured.
fn run() -> Result<bool> {
    let Some(args) = Args::parse(std::env::args_os().skip(1))? else {
        let names = |group: &Group| group.measurements.iter().map(|measurement| measurement.name).collect();
        print(&args::help(&GROUPS.each_ref().map(|group| (group.name, names(group)))))?;
        return Ok(true);
    };
    ensure!(cfg!(target_os = "linux"), "this reads /proc and therefore runs on Linux only");
    let group = GROUPS.iter().find(|group| group.name == args.group);
    let group = group.with_context(|| format!("there is no group `{}`; --help names them", args.group))?;
    let chosen = choose(group, &args.only)?;
    let setup = setup(&args)?;
    let busy = machine::busy()?;
    if busy.share > BUSY_LIMIT {
        refuse_unless(args.is_forced, &busy)?;
    }
    let mut report = Report::new(Machine::look()?, &setup, busy.share, group.columns)?;
    if group.name == "peers" {
        calibration::ensure(&setup, busy.share > BUSY_LIMIT);
    }
    for (n, measurement) in chosen.iter().enumerate() {
        say(&format!("{} ({} of {})", measurement.name, n + 1, chosen.len()));
        read_anew(&setup);
        report.add(measurement.name, (measurement.run)(&setup));
    }
    report.add_versions(&setup);
    print(&report.to_string())?;
    if let Some(path) = &args.json {
        let json = format!("{:#}\n", report.to_json());
        fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(report.is_complete())
}

/// Makes beastd read the model as after a boot. The first reader of a file decides which pages it occupies,
/// and both programs then map the same ones. Without this, the last reader before the bench would influence the
/// measurements.
fn read_anew(setup: &Setup) {
    machine::forget(&setup.model);
    if let Err(error) = Beast::start(setup) {
        say(&format!("the model was not read anew: {error:#}"));
    }
}

fn choose(group: &Group, only: &[String]) -> Result<Vec<&'static Measurement>> {
    for name in only {
        let is_known = group.measurements.iter().any(|measurement| measurement.name == name);
        ensure!(is_known, "there is no measurement `{name}` in group {}; --help names them", group.name);
    }
    let is_wanted = |measurement: &&Measurement| only.is_empty() || only.iter().any(|name| name == measurement.name);
    Ok(group.measurements.iter().filter(is_wanted).collect())
}

fn setup(args: &Args) -> Result<Setup> {
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    let programs = own.parent().context("this program's own file is in no folder")?.to_owned();
    for program in ["beastd", "beastctl"] {
        let path = programs.join(program);
        ensure!(path.is_file(), "there is no {}; try: make build", path.display());
    }
    let absolute = |path: &PathBuf| fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()));
    Ok(Setup {
        model: absolute(&args.model)?,
        draft: args.draft.as_ref().map(absolute).transpose()?,
        peers: args.peers.as_ref().map(absolute).transpose()?,
        programs,
        n_threads: args.n_threads,
        n_repeats: args.n_repeats,
        engine: OnceLock::new(),
        calibration: OnceLock::new(),
    })
}

fn refuse_unless(is_forced: bool, busy: &Busy) -> Result<()> {
    let what = format!("the machine is {:.0} % busy with other things: {}", busy.share * 100.0, busy.who());
    if !is_forced {
        bail!("{what}; what is measured now would mislead: wait until they are done, or give --force");
    }
    say(&format!("{what}; measured all the same, and not to be trusted"));
    Ok(())
}
