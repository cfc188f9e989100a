//! The other side: llama.cpp's own programs, with their defaults.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use beast_protocol::Generate;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Setup,
    ask::{Answer, Side},
    beast::{ANSWER_PAUSE, LIMIT, N_CTX, N_SLOTS, READY_PAUSE, short},
    http,
    process::{Process, isolate, last_line, output, wait_for},
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

/// Tokens per second of llama-bench, for a prompt of `n_prompt` tokens or for `n_generated` tokens after `n_before`
/// others.
pub struct LlamaBench<'a> {
    setup: &'a Setup,
    model: &'a Path,
    program: PathBuf,
    home: TempDir,
}

impl<'a> LlamaBench<'a> {
    pub fn new(setup: &'a Setup) -> Result<Self> {
        Self::of(setup, &setup.model)
    }

    /// With a different model.
    pub fn of(setup: &'a Setup, model: &'a Path) -> Result<Self> {
        Ok(Self { setup, model, program: setup.peer("llama-bench")?, home: TempDir::new()? })
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
        command.arg("-m").arg(self.model).args(["-r", "1", "-o", "json", "-t"]);
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
    home: TempDir,
    arguments: String,
    /// From exec to the first response of any kind.
    pub answered: Duration,
    /// From exec until the model is ready.
    pub ready: Duration,
}

impl LlamaServer {
    /// Starts it with its defaults, but with our number of slots and context.
    pub fn start(setup: &Setup) -> Result<Self> {
        Self::start_with(setup, &[])
    }

    /// Starts it with additional arguments.
    pub fn start_with(setup: &Setup, more: &[&str]) -> Result<Self> {
        let home = TempDir::new()?;
        let port = http::free_port()?;
        let log = home.path().join("stderr");
        let n_threads = setup.n_threads.to_string();
        let (n_slots, n_cells) = (N_SLOTS.to_string(), (N_SLOTS * N_CTX).to_string());
        let usual = ["-np", &n_slots, "-c", &n_cells, "-t", &n_threads];
        let arguments: Vec<&str> = usual.into_iter().chain(more.iter().copied()).collect();
        let mut command = Command::new(setup.peer("llama-server")?);
        isolate(&mut command, home.path());
        command.arg("-m").arg(&setup.model).args(&arguments).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);

        let began = Instant::now();
        let mut process = Process::start(&mut command)?;
        let (answered, ready) = follow_start(&mut process, port, began).map_err(|error| match process.check() {
            Ok(()) => error,
            Err(ended) => ended.context(last_line(&fs::read_to_string(&log).unwrap_or_default()).to_owned()),
        })?;
        let arguments = format!("llama-server -m {} {}", short(&setup.model), in_words(&arguments));
        Ok(Self { process, port, home, arguments, answered, ready })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its log so far.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.home.path().join("stderr"))?).into_owned())
    }

    /// Its command line, for a report.
    pub fn arguments(&self) -> &str {
        &self.arguments
    }

    /// Sends a request without waiting; dropping the result disconnects. The server renders the chat template.
    pub fn begin(&self, question: &Generate) -> Result<Asked> {
        Sse::at(self.port).begin(question)
    }
}

/// A server that speaks OpenAI's dialect and reports `timings`: llama-server or beastd.
pub struct Sse {
    port: u16,
}

impl Sse {
    /// The server on this port.
    pub fn at(port: u16) -> Self {
        Self { port }
    }

    /// Sends a request without waiting; dropping the result disconnects.
    pub fn begin(&self, question: &Generate) -> Result<Asked> {
        let began = Instant::now();
        let turn =
            |message: &beast_protocol::Message| json!({ "role": message.role.as_str(), "content": message.content });
        let request = json!({
            "messages": question.messages.iter().map(turn).collect::<Vec<_>>(),
            "max_tokens": question.max_tokens,
            "temperature": question.sampling.temp,
            "ignore_eos": question.ignore_eos,
            "stream": true,
        });
        let events = http::post(self.port, "/v1/chat/completions", &request.to_string())?;
        Ok(Asked { events, began, n_exactly: question.max_tokens.filter(|_| question.ignore_eos) })
    }
}

impl Side for Sse {
    fn ask(&self, question: &Generate) -> Result<Answer> {
        self.begin(question)?.answer()
    }
}

impl Side for LlamaServer {
    fn ask(&self, question: &Generate) -> Result<Answer> {
        self.begin(question)?.answer()
    }
}

/// A request in progress.
pub struct Asked {
    events: http::Events,
    began: Instant,
    /// The number of tokens that the answer must have, if that was requested.
    n_exactly: Option<u32>,
}

impl Asked {
    fn answer(mut self) -> Result<Answer> {
        let (mut first_token, mut last) = (None, Value::Null);
        // The timings come with the last event.
        while let Some(event) = self.events.next()? {
            if event["choices"][0]["delta"]["content"].as_str().is_some_and(|text| !text.is_empty()) {
                first_token.get_or_insert_with(|| self.began.elapsed());
            }
            last = event;
        }
        let answer = answer(&last["timings"], first_token.context("llama-server answers nothing")?);
        let answer = answer.with_context(|| format!("llama-server ends with {last}"))?;
        let n = answer.n_after_first + 1;
        ensure!(self.n_exactly.is_none_or(|exactly| n == exactly), "{n} tokens are not what was asked for");
        Ok(answer)
    }
}

/// `None` if a required value is missing. Values that only some settings report default to 0.
fn answer(timings: &Value, first_token: Duration) -> Option<Answer> {
    let n = |field: &str| timings[field].as_u64().and_then(|n| u32::try_from(n).ok());
    let time = |field: &str| Duration::try_from_secs_f64(timings[field].as_f64()? / 1000.0).ok();
    let n_cached = n("cache_n")?;
    Some(Answer {
        n_prompt: n("prompt_n")? + n_cached,
        n_cached,
        n_after_first: n("predicted_n")?.saturating_sub(1),
        n_drafted: n("draft_n").unwrap_or(0),
        n_accepted: n("draft_n_accepted").unwrap_or(0),
        prefill: time("prompt_ms")?,
        decode: time("predicted_ms")?,
        first_token,
    })
}

fn follow_start(process: &mut Process, port: u16, began: Instant) -> Result<(Duration, Duration)> {
    let mut health = || {
        process.check()?;
        http::get(port, "/health")
    };
    wait_for("the port of llama-server", LIMIT, ANSWER_PAUSE, &mut health)?;
    let answered = began.elapsed();
    let mut is_ready = || Ok(health()?.filter(|status| *status == 200).map(|_| began.elapsed()));
    let ready = wait_for("the model of llama-server", LIMIT, READY_PAUSE, &mut is_ready)?;
    Ok((answered, ready))
}

/// Arguments for a report, with files by name only, since their folders say nothing.
pub fn in_words(arguments: &[&str]) -> String {
    let word = |&word: &&str| if word.starts_with('/') { short(Path::new(word)) } else { word.into() };
    arguments.iter().map(word).collect::<Vec<String>>().join(" ")
}

/// llama-server's version, which it prints to stderr.
pub fn version(setup: &Setup) -> Result<String> {
    let output = Command::new(setup.peer("llama-server")?).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with("version")).context("llama-server tells no version")?;
    Ok(format!("llama.cpp {line}"))
}

#[cfg(test)]
#[path = "peers_tests.rs"]
mod tests;
