//! The status of a daemon in words, for `status`, `doctor` and `bench`.

use std::fmt::Write as _;

use beast_protocol::{Model, NoticeKind, SpeculationStatus, Stage, State, Status, StoredPrefixes, Tuning};

use super::{
    one_line,
    units::{bytes, count, parameters, percent, span},
};

/// The status as text: one aligned line for each thing.
pub fn describe(status: &Status) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label:<10}{}", one_line(&value));
    };
    line("state", state(&status.state));
    line("daemon", format!("beastd {}, process {}, up {}", status.version, status.pid, span(status.uptime_ms)));
    line("socket", status.socket.clone());
    if !status.http.is_empty() {
        line("http", status.http.iter().map(|place| http_place(place)).collect::<Vec<_>>().join(", "));
    }
    line("engine", status.engine.clone());
    match &status.model {
        Some(model) => {
            line("model", name_and_size(model));
            line("file", model.path.clone());
            line("context", context_of(model));
            line("backend", backend(model));
        }
        None => line("model", format!("{}, not in memory", status.configured)),
    }
    line(
        "profile",
        format!(
            "{}: batch {}, prompts in steps of {}, {}",
            status.profile,
            status.n_batch,
            status.prefill_chunk,
            count(status.n_threads.into(), "thread")
        ),
    );
    if let Some(tuning) = tuning(&status.tuning) {
        line("tuning", tuning);
    }
    if let Some(guessing) = guessing(&status.speculation) {
        line("guessing", guessing);
    }
    line(
        "slots",
        format!(
            "{} of {} busy, {} waiting, {} connections",
            status.n_running, status.n_slots, status.n_waiting, status.n_connections
        ),
    );
    line("prefixes", prefixes(status));
    if let Some(stored) = stored(status) {
        line("stored", stored);
    }
    line("cells", format!("{} of {} used{}", status.n_cells_used, status.n_cells, share(status)));
    line("totals", totals(status));
    if let Some(speed) = speed(status) {
        line("speed", speed);
    }
    for (n, (stage, value)) in loading(&status.stages).into_iter().enumerate() {
        line(if n == 0 { "loading" } else { "" }, format!("{stage:<21}{value}"));
    }
    for notice in &status.notices {
        let label = if notice.kind == NoticeKind::Warning { "warning" } else { "note" };
        line(label, notice.text.clone());
    }
    text
}

fn state(state: &State) -> String {
    match state {
        State::Ready => "ready".into(),
        State::Unloaded => "unloaded: the next request loads the model".into(),
        State::Stalled { ms, requests } => format!(
            "stalled: one step of the engine has lasted {} (requests {requests:?} of the log); try: kill the process below and start it anew",
            span(*ms)
        ),
        State::Draining => "draining: it finishes its last requests".into(),
        State::Failed { message } => format!("failed: {message}"),
        State::Loading { stage, fraction } => format!("loading: {} {:.0} %", stage.label(), fraction * 100.0),
    }
}

/// An address as one opens it; a Unix socket has none.
pub fn http_place(place: &str) -> String {
    if place.starts_with('/') { place.to_owned() } else { format!("http://{place}") }
}

pub fn name_and_size(model: &Model) -> String {
    format!("{}, {} parameters, {}", model.name, parameters(model.n_params), bytes(model.n_bytes))
}

fn context_of(model: &Model) -> String {
    let template = if model.has_chat_template { "" } else { ", without a chat template" };
    format!("{} tokens, trained for {}{template}", model.n_ctx, model.n_ctx_train)
}

/// The output layer is one more than the model counts.
pub fn backend(model: &Model) -> String {
    match model.n_gpu_layers {
        0 => model.backend.clone(),
        n => format!("{}, {n}/{} layers offloaded", model.backend, model.n_layers + 1),
    }
}

fn prefixes(status: &Status) -> String {
    let Status { n_prefixes, n_prefix_tokens, n_prefix_hits, n_tokens_saved, .. } = status;
    let size = if status.n_prefix_bytes > 0 { format!(", {}", bytes(status.n_prefix_bytes)) } else { String::new() };
    format!(
        "{n_prefixes} kept, {n_prefix_tokens} tokens{size}; used {n_prefix_hits} times, which saved {n_tokens_saved} tokens"
    )
}

/// The prefixes on disk, when there are any or one was of use.
fn stored(status: &Status) -> Option<String> {
    let StoredPrefixes { n_entries, n_bytes, n_restored } = status.stored;
    let restored = if n_restored > 0 { format!(", {n_restored} read back") } else { String::new() };
    (n_entries > 0 || n_restored > 0).then(|| format!("{n_entries} on disk, {}{restored}", bytes(n_bytes)))
}

/// Who guesses how far ahead and how well, or why nobody does.
fn guessing(speculation: &SpeculationStatus) -> Option<String> {
    let reason = speculation.reason.as_deref().filter(|reason| !reason.is_empty());
    if speculation.drafters.is_empty() {
        return reason.map(|reason| format!("off: {reason}"));
    }
    let model = speculation.draft_model.as_ref().map(|model| format!(" (draft model {model})")).unwrap_or_default();
    let mut text = format!("{}{model}, at most {} ahead", speculation.drafters.join(", "), speculation.n_max);
    if let Some(share) = percent(speculation.n_accepted, speculation.n_drafted) {
        let _ = write!(text, "; {} of {} right ({share:.0} %)", speculation.n_accepted, speculation.n_drafted);
    }
    if let Some(reason) = reason {
        let _ = write!(text, "; {reason}");
    }
    Some(text)
}

/// How the engine is set up, once it is.
pub fn tuning(tuning: &Tuning) -> Option<String> {
    let Tuning { origin, is_calibrated, is_repacked, decode_width } = tuning;
    let calibrated = if *is_calibrated { "calibrated: " } else { "" };
    let weights = if *is_repacked { "rearranged" } else { "as in the file" };
    let answers = count((*decode_width).into(), "answer");
    // The origin comes last, since it ends with what to do when it was not measured.
    (!origin.is_empty()).then(|| format!("weights {weights}, {answers} in one step; {calibrated}{origin}"))
}

fn share(status: &Status) -> String {
    let share = percent(status.n_cells_used.into(), status.n_cells.into());
    share.map(|share| format!(" ({share:.0} %)")).unwrap_or_default()
}

fn totals(status: &Status) -> String {
    format!(
        "{} requests, {} prompt tokens, {} answer tokens, {} preempted",
        status.n_requests, status.n_prompt_tokens, status.n_generated_tokens, status.n_preempted
    )
}

fn speed(status: &Status) -> Option<String> {
    let n_tokens = status.n_prompt_tokens + status.n_generated_tokens;
    if n_tokens == 0 || status.busy_us == 0 {
        return None;
    }
    let speed = n_tokens as f64 * 1e6 / status.busy_us as f64;
    Some(format!("{speed:.1} tokens/s, prompts and answers together, busy {}", span(status.busy_us / 1000)))
}

/// Each finished stage with its time and its share of them all.
fn loading(stages: &[Stage]) -> Vec<(&'static str, String)> {
    let total: u64 = stages.iter().map(|stage| stage.us).sum();
    let row = |us: u64| {
        let percent = if total == 0 { 0.0 } else { us as f64 * 100.0 / total as f64 };
        format!("{:>10.1} ms {percent:>4.0} %", us as f64 / 1000.0)
    };
    let mut rows: Vec<_> = stages.iter().map(|stage| (stage.stage.label(), row(stage.us))).collect();
    if rows.len() > 1 {
        rows.push(("together", row(total)));
    }
    rows
}

#[cfg(test)]
#[path = "status_tests.rs"]
pub(crate) mod tests;
