//! The other side: llama.cpp's own programs, as they are shipped.

use std::{
    fs::File,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Setup,
    beast::{ANSWER_PAUSE, LIMIT, N_CTX, N_SLOTS, READY_PAUSE},
    http,
    process::{Process, isolate, output, wait_for},
};

impl Setup {
    /// One of llama.cpp's programs.
    pub fn peer(&self, name: &str) -> Result<PathBuf> {
        let folder = self.peers.as_ref().context("--peers is missing: there is nothing to compare with")?;
        let path = folder.join(name);
        ensure!(path.is_file(), "there is no {name} in {}; try: .ci/peers", folder.display());
        Ok(path)
    }
}

/// Tokens a second of llama-bench, for a prompt of `n_prompt` tokens or for `n_generated` tokens after `n_before` others.
pub struct LlamaBench<'a> {
    setup: &'a Setup,
    program: PathBuf,
    home: TempDir,
}

impl<'a> LlamaBench<'a> {
    pub fn new(setup: &'a Setup) -> Result<Self> {
        Ok(Self { setup, program: setup.peer("llama-bench")?, home: TempDir::new()? })
    }

    pub fn prefill(&self, n_prompt: u32) -> Result<f64> {
        self.speed(n_prompt, 0, 0)
    }

    pub fn decode(&self, n_generated: u32, n_before: u32) -> Result<f64> {
        self.speed(0, n_generated, n_before)
    }

    fn speed(&self, n_prompt: u32, n_generated: u32, n_before: u32) -> Result<f64> {
        let mut command = Command::new(&self.program);
        isolate(&mut command, self.home.path());
        command.arg("-m").arg(&self.setup.model).args(["-r", "1", "-o", "json", "-t"]);
        command.arg(self.setup.n_threads.to_string());
        for (flag, n) in [("-p", n_prompt), ("-n", n_generated), ("-d", n_before)] {
            command.arg(flag).arg(n.to_string());
        }
        let printed: Value = serde_json::from_str(&output(&mut command)?).context("llama-bench prints no JSON")?;
        printed[0]["avg_ts"].as_f64().context("llama-bench prints no speed")
    }
}

/// A llama-server that is ready.
pub struct LlamaServer {
    process: Process,
    port: u16,
    _home: TempDir,
    /// From exec to the first answer of any kind.
    pub answered: Duration,
    /// From exec to a model that is ready.
    pub ready: Duration,
}

impl LlamaServer {
    pub fn start(setup: &Setup) -> Result<Self> {
        let home = TempDir::new()?;
        let port = http::free_port()?;
        let mut command = Command::new(setup.peer("llama-server")?);
        isolate(&mut command, home.path());
        command.arg("-m").arg(&setup.model).args(["--host", "127.0.0.1"]);
        let numbers = [("-np", N_SLOTS), ("-c", N_SLOTS * N_CTX), ("-t", setup.n_threads), ("--port", port.into())];
        for (flag, n) in numbers {
            command.arg(flag).arg(n.to_string());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(home.path().join("stderr"))?);

        let began = Instant::now();
        let mut process = Process::start(&mut command)?;
        let mut health = || {
            process.check()?;
            http::get(port, "/health")
        };
        wait_for("the port of llama-server", LIMIT, ANSWER_PAUSE, &mut health)?;
        let answered = began.elapsed();
        let mut is_ready = || Ok(health()?.filter(|response| response.status == 200).map(|_| began.elapsed()));
        let ready = wait_for("the model of llama-server", LIMIT, READY_PAUSE, &mut is_ready)?;
        Ok(Self { process, port, _home: home, answered, ready })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Answers a text greedily and returns the length of its prompt in tokens.
    pub fn generate(&self, text: &str, n_tokens: u32) -> Result<u64> {
        let request = json!({ "prompt": text, "n_predict": n_tokens, "temperature": 0, "ignore_eos": true });
        let response = http::post(self.port, "/completion", &request.to_string())?;
        ensure!(response.status == 200, "llama-server answers {}: {}", response.status, response.body);
        let answer: Value = serde_json::from_str(&response.body).context("llama-server answers no JSON")?;
        ensure!(answer["tokens_predicted"] == n_tokens, "llama-server generates {} tokens", answer["tokens_predicted"]);
        answer["tokens_evaluated"].as_u64().context("llama-server does not say how long the prompt was")
    }
}

/// Version of llama-server, which it prints to stderr.
pub fn version(setup: &Setup) -> Result<String> {
    let output = Command::new(setup.peer("llama-server")?).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with("version")).context("llama-server tells no version")?;
    Ok(format!("llama.cpp {line}"))
}
