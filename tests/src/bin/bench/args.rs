//! The command line of the benchmark.

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

const USAGE: &str = "\
Usage: bench --model FILE [--peers DIR] [options]

  --model FILE    GGUF file that both sides load
  --peers DIR     folder with llama-bench and llama-server; without it, what compares with them is not measured
  --group NAME    which measurements: own (default) or peers, which asks beastd and llama-server the same
  --draft FILE    GGUF file of a draft model, for the measurement of that name
  --threads N     threads that compute, on both sides (default 2)
  --repeats N     how often speeds are measured; the median counts (default 5)
  --only NAME     this measurement only; may be given more than once
  --json FILE     write everything measured there as well
  --force         measure although the machine is busy

Exit code 0 when everything was measured, whatever came out, else 1.
";

#[derive(Debug, PartialEq)]
pub struct Args {
    pub model: PathBuf,
    pub peers: Option<PathBuf>,
    pub group: String,
    pub draft: Option<PathBuf>,
    pub n_threads: usize,
    pub n_repeats: usize,
    pub only: Vec<String>,
    pub json: Option<PathBuf>,
    pub is_forced: bool,
}

impl Args {
    /// `None` if help was requested.
    pub fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Option<Self>> {
        let mut model = None;
        let mut parsed = Self {
            model: PathBuf::new(),
            peers: None,
            group: "own".into(),
            draft: None,
            n_threads: 2,
            n_repeats: 5,
            only: Vec::new(),
            json: None,
            is_forced: false,
        };
        while let Some(flag) = args.next() {
            let flag = flag.to_string_lossy().into_owned();
            let mut value = || args.next().with_context(|| format!("{flag} needs a value; try: --help"));
            match flag.as_str() {
                "-h" | "--help" => return Ok(None),
                "--model" => model = Some(value()?.into()),
                "--peers" => parsed.peers = Some(value()?.into()),
                "--group" => parsed.group = value()?.to_string_lossy().into_owned(),
                "--draft" => parsed.draft = Some(value()?.into()),
                "--threads" => parsed.n_threads = number(&flag, value()?)?,
                "--repeats" => parsed.n_repeats = number(&flag, value()?)?,
                "--only" => parsed.only.push(value()?.to_string_lossy().into_owned()),
                "--json" => parsed.json = Some(value()?.into()),
                "--force" => parsed.is_forced = true,
                _ => bail!("what is `{flag}`? try: --help"),
            }
        }
        parsed.model = model.context("--model is missing; try: --help")?;
        Ok(Some(parsed))
    }
}

/// The usage text, which lists the measurements by group.
pub fn help(groups: &[(&str, Vec<&str>)]) -> String {
    let lines = groups.iter().map(|(group, names)| format!("Measurements of group {group}: {}\n", names.join(", ")));
    USAGE.to_owned() + &lines.collect::<String>()
}

fn number(flag: &str, text: OsString) -> Result<usize> {
    let text = text.to_string_lossy();
    let n = text.parse().with_context(|| format!("{flag} needs a number, not `{text}`"))?;
    ensure!(n > 0, "{flag} needs at least 1");
    Ok(n)
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
