//! What daemon and client take from the machine: memory, and CPU time while idle.

use std::{fs, io::Read, process::Stdio, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Setup,
    ask::{Side as _, exactly},
    beast::Beast,
    machine,
    peers::LlamaServer,
    process::wait_for,
    report::{Required, Row},
    words::Words,
};

/// Yields about 300 tokens.
const N_WORDS: usize = 240;
const N_GENERATED: u32 = 16;
const IDLE: Duration = Duration::from_secs(10);
/// A daemon that is busy for longer than this never becomes idle.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
pub const MB: f64 = 1e6;

/// Resident memory after one answer, of one daemon at a time. Without the model file, which both sides map: its pages
/// belong to the page cache.
pub fn memory(setup: &Setup) -> Result<Vec<Row>> {
    let question = exactly(None, &Words::new().text(N_WORDS), N_GENERATED);
    let (ours, n_prompt) = {
        let beast = Beast::start(setup)?;
        let n_prompt = beast.ask(&question)?.n_prompt;
        (Memory::of(beast.pid())?, n_prompt)
    };
    let (peer, n_prompt_of_peer) = {
        let server = LlamaServer::start(setup)?;
        let n_prompt = server.ask(&question)?.n_prompt;
        (Memory::of(server.pid())?, n_prompt)
    };
    let n_file = fs::metadata(&setup.model)?.len() as f64;
    let row = |what: &str, size: &dyn Fn(&Memory) -> f64| {
        Row::new(what, "MB", vec![size(&ours) / MB]).beside(vec![size(&peer) / MB])
    };
    Ok(vec![
        row("memory beyond the model's file", &|memory| memory.resident - n_file)
            .required(Required::RatioAtMost(1.0))
            .note(format!("after prompts of {n_prompt} and {n_prompt_of_peer} tokens")),
        row("memory, all of it", &|memory| memory.resident),
        row("memory, anonymous part", &|memory| memory.anonymous),
        row("memory, part mapped from files", &|memory| memory.files),
    ])
}

/// Memory of a process, in bytes.
pub struct Memory {
    pub resident: f64,
    pub anonymous: f64,
    pub files: f64,
}

impl Memory {
    pub fn of(pid: u32) -> Result<Self> {
        let size = |field| machine::memory(pid, field);
        Ok(Self { resident: size("VmRSS")?, anonymous: size("RssAnon")?, files: size("RssFile")? })
    }
}

/// Peak memory of beastctl during an answer.
pub fn client(setup: &Setup) -> Result<Vec<Row>> {
    let beast = Beast::start(setup)?;
    let text = Words::new().text(N_WORDS);
    let mut command = beast.ctl(&["ask", &text, "--max-tokens", "64", "--temp", "0", "--no-start"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut stdout = child.stdout.take().context("beastctl has no stdout")?;
    let mut peak = None;
    // It waits for the next piece after each one, so there is always time to look; the peak only grows.
    while stdout.read(&mut [0; 4096])? > 0 {
        peak = machine::memory(child.id(), "VmHWM").ok().or(peak);
    }
    let status = child.wait()?;
    ensure!(status.success(), "beastctl failed ({status})");
    let peak = peak.context("the answer is empty")?;
    Ok(vec![Row::new("beastctl ask, peak memory", "MB", vec![peak / MB]).required(Required::AtMost(8.0))])
}

/// How often any thread of the daemon wakes up while it is idle, after a first request.
pub fn idle(setup: &Setup) -> Result<Vec<Row>> {
    let beast = Beast::start(setup)?;
    beast.ask(&exactly(None, &Words::new().text(N_WORDS), N_GENERATED))?;
    settle(beast.pid())?;

    let before = machine::threads(beast.pid())?;
    thread::sleep(IDLE);
    let after = machine::threads(beast.pid())?;
    let mut wakers = Vec::new();
    let mut cpu = Duration::ZERO;
    for (id, thread) in &after {
        let (n_before, cpu_before) = before.get(id).map_or((0, Duration::ZERO), |old| (old.n_switches, old.cpu));
        cpu += thread.cpu.saturating_sub(cpu_before);
        wakers.push((thread.name.clone(), thread.n_switches - n_before));
    }
    // A thread's last action is to wake up and end.
    let gone = before.iter().filter(|(id, _)| !after.contains_key(id));
    wakers.extend(gone.map(|(_, thread)| (format!("{}, ended", thread.name), 1)));
    wakers.retain(|(_, n)| *n > 0);

    let n_wakes: u64 = wakers.iter().map(|(_, n)| n).sum();
    let who = wakers.iter().map(|(name, n)| format!("{name}: {n}")).collect::<Vec<_>>().join("; ");
    Ok(vec![
        Row::new("wake-ups in 10 s of idling", "", vec![n_wakes as f64]).required(Required::AtMost(0.0)).note(who),
        Row::new("CPU time in 10 s of idling", "ms", vec![cpu.as_secs_f64() * 1000.0]),
    ])
}

/// Waits until no thread has used CPU time for a second.
fn settle(pid: u32) -> Result<()> {
    let mut last = None;
    let mut is_still = || {
        let now: Duration = machine::threads(pid)?.values().map(|thread| thread.cpu).sum();
        Ok((last.replace(now) == Some(now)).then_some(()))
    };
    wait_for("the daemon to be idle", SETTLE_LIMIT, Duration::from_secs(1), &mut is_still)
}
