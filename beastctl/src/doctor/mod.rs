//! `beastctl doctor`: checks everything that beast needs, and suggests fixes.
//!
//! One file per subject, whose functions return [`Finding`]s and change nothing. Does not start a daemon or load a
//! model.

mod backend;
mod configuration;
mod daemon;
mod disk;
mod finding;
mod http;
mod log;
mod memory;
mod model;
mod program;
mod service;
mod socket;

use std::path::PathBuf;

use serde_json::{Value, json};

use self::finding::Finding;
use crate::{
    cli::DoctorOptions,
    context::Context,
    exit::{self, AlreadyTold, During as _, Result},
    output::{Verdict, json_line},
    settings::Settings,
    wait::Wait,
};

pub(super) fn run(context: &Context, options: &DoctorOptions) -> Result<()> {
    let wait = Wait::start(context.timeout).context("cannot watch for Ctrl-C")?;
    let findings = examine(context, options.hash, &wait)?;
    match options.json {
        true => context.console.print(&json_line(&object(&findings)))?,
        false => context.console.print_painted_lines(&lines(context, &findings))?,
    }
    // The findings have already been printed.
    if count(&findings, Verdict::Problem) > 0 { Err(AlreadyTold(exit::FAILED).into()) } else { Ok(()) }
}

/// Runs all checks from the programs to the disk: later ones often depend on earlier ones.
fn examine(context: &Context, is_hash_wanted: bool, wait: &Wait) -> Result<Vec<Finding>> {
    let (program_finding, program) = program::check(wait)?;
    let mut findings = vec![program_finding];
    let mut settings = Settings::default();
    let mut is_configuration_fine = false;
    if let Some(program) = &program {
        let (finding, known) = configuration::check(program, wait)?;
        is_configuration_fine = finding.verdict == Verdict::Ok;
        findings.push(finding);
        settings = known;
    }
    let service = service::find();
    findings.push(service::check(service.as_ref()));
    let mut status = None;
    match context.socket() {
        Err(error) => {
            findings.push(Finding::advised(Verdict::Problem, "socket", error.advised(), "use another --socket"));
        }
        Ok(path) => {
            findings.push(socket::check(&path));
            let (of_daemon, known) = daemon::check(&path, service.as_ref(), wait)?;
            findings.extend(of_daemon);
            let beastd = match (&known, &service) {
                (Some(_), _) => http::Beastd::Running,
                (None, Some(service)) if service.is_asleep(&path, wait)? => http::Beastd::Asleep,
                (None, _) => http::Beastd::Stopped,
            };
            findings.extend(http::check(&settings, beastd));
            status = known;
        }
    }
    let loaded = status.as_ref().and_then(|status| status.model.as_ref());
    let located = model::locate(&settings);
    findings.extend(model::check(&located, is_hash_wanted, wait)?);
    if let Some(model) = loaded {
        findings.push(backend::check(model, &settings, backend::has_gpu()));
    }
    findings.push(memory::check(loaded.map(|model| model.n_bytes), located.n_bytes()));
    findings.extend(disk::check(&settings));
    findings.push(log::check(log_dir(&settings), is_configuration_fine));
    Ok(findings)
}

/// The log folder that beastd reports, or else the default one; `None` if no log is written.
fn log_dir(settings: &Settings) -> Option<PathBuf> {
    settings.log_dir().unwrap_or_else(|| beast_launchd::paths::log_dir().ok())
}

fn count(findings: &[Finding], verdict: Verdict) -> usize {
    findings.iter().filter(|finding| finding.verdict == verdict).count()
}

fn lines(context: &Context, findings: &[Finding]) -> String {
    let line = |finding: &Finding| context.console.verdict_line(finding.verdict, finding.check, &finding.line());
    findings.iter().map(line).collect()
}

fn object(findings: &[Finding]) -> Value {
    json!({
        "findings": findings.iter().map(Finding::object).collect::<Vec<_>>(),
        "n_problems": count(findings, Verdict::Problem),
        "n_warnings": count(findings, Verdict::Warning),
    })
}
