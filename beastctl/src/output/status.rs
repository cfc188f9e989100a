//! The status of a daemon as text, for `status`, `doctor` and `bench`.

use beast_protocol::{
    Model, ModelState, ModelStatus, NoticeKind, SpeculationStatus, Stage, State, Status, StoredPrefixes, Tuning,
    UpstreamStatus,
};

use super::{
    facts::Facts,
    units::{bytes, count, parameters, percent, span},
};

/// The status as text, one aligned line per item.
pub fn describe(status: &Status) -> String {
    let mut facts = Facts::default();
    let uptime = span(status.uptime_ms);
    facts.add("state", state(&status.state));
    facts.add("daemon", format!("beastd {}, process {}, up {uptime}", status.version, status.pid));
    facts.add("socket", status.socket.clone());
    let places: Vec<_> = status.http.iter().map(|place| http_place(place)).collect();
    facts.add("http", (!places.is_empty()).then(|| places.join(", ")));
    facts.add("engine", status.engine.clone());
    match &status.model {
        Some(model) => {
            facts.add("model", name_and_size(model));
            facts.add("file", model.path.clone());
            facts.add("context", context_of(model));
            facts.add("backend", backend(model));
        }
        None => facts.add("model", format!("{}, unloaded", status.configured)),
    }
    for (n, model) in others(status).enumerate() {
        facts.add(if n == 0 { "models" } else { "" }, row(model));
    }
    for (n, upstream) in status.upstreams.iter().enumerate() {
        facts.add(if n == 0 { "upstream" } else { "" }, upstream_row(upstream));
    }
    facts.add("memory", memory(status));
    facts.add("profile", profile(status));
    facts.add("tuning", tuning(&status.tuning));
    facts.add("drafts", guessing(&status.speculation));
    facts.add("slots", slots(status));
    facts.add("prefixes", prefixes(status));
    facts.add("stored", stored(status));
    facts.add("cells", format!("{} of {} used{}", status.n_cells_used, status.n_cells, share(status)));
    facts.add("totals", totals(status));
    facts.add("speed", speed(status));
    for (n, (stage, value)) in loading(&status.stages).into_iter().enumerate() {
        facts.add(if n == 0 { "loading" } else { "" }, format!("{stage:<21}{value}"));
    }
    for notice in &status.notices {
        let label = if notice.kind == NoticeKind::Warning { "warning" } else { "note" };
        facts.add(label, notice.text.clone());
    }
    facts.text()
}

/// All models, once there is more than the default one.
fn others(status: &Status) -> impl Iterator<Item = &ModelStatus> {
    status.models.iter().filter(|_| status.models.len() > 1)
}

fn row(model: &ModelStatus) -> String {
    let ModelStatus { name, state, n_bytes, n_gpu_bytes, n_running, n_waiting, .. } = model;
    let state = match state {
        ModelState::Loading => "loading",
        ModelState::Ready => "ready",
        ModelState::Unloading => "unloading",
        ModelState::Unloaded => "unloaded",
        ModelState::Failed => "failed",
    };
    let mut text = format!("{name}: {state}, {}", bytes(*n_bytes));
    if *n_gpu_bytes > 0 {
        text += &format!(" and {} of the GPU", bytes(*n_gpu_bytes));
    }
    text += &format!(", {n_running} running, {n_waiting} waiting");
    if model.idle_ms > 0 {
        text += &format!(", used {} ago", span(model.idle_ms / 1000 * 1000));
    }
    let marks = [(model.is_default, ", default"), (model.is_pinned, ", pinned")];
    marks.iter().filter(|(is_it, _)| *is_it).for_each(|(_, mark)| text += mark);
    text
}

fn upstream_row(upstream: &UpstreamStatus) -> String {
    let UpstreamStatus { name, urls, model, n_ctx, fallback, problem, .. } = upstream;
    let UpstreamStatus { n_running, n_requests, n_prompt_tokens, n_generated_tokens, .. } = upstream;
    let model = model.as_ref().map(|model| format!("{model} at ")).unwrap_or_default();
    let n_ctx = n_ctx.map(|n_ctx| format!(", context of {n_ctx} tokens")).unwrap_or_default();
    let n_requests = count(*n_requests, "request");
    let mut text = format!(
        "{name}: {model}{}{n_ctx}, {n_running} running, {n_requests}, {n_prompt_tokens} prompt tokens, \
         {n_generated_tokens} answer tokens",
        urls.join(", ")
    );
    if let Some(fallback) = fallback {
        text += &format!(", {fallback} in its place");
    }
    if let Some(problem) = problem {
        text += &format!("; failed: {problem}");
    }
    text
}

/// The memory of the loaded models, once there is more than the default one.
fn memory(status: &Status) -> Option<String> {
    let is_held = |model: &&ModelStatus| !matches!(model.state, ModelState::Unloaded | ModelState::Failed);
    let held: u64 = others(status).filter(is_held).map(|model| model.n_bytes).sum();
    let budget = status.memory_budget.map(|budget| format!(" of {}", bytes(budget))).unwrap_or_default();
    (status.models.len() > 1).then(|| format!("{}{budget} for models", bytes(held)))
}

fn profile(status: &Status) -> String {
    let Status { profile, n_batch, prefill_chunk, .. } = status;
    let threads = count(status.n_threads.into(), "thread");
    // Without a model there are no chunks.
    match prefill_chunk {
        0 => format!("{profile}: batch {n_batch}, {threads}"),
        n => format!("{profile}: batch {n_batch}, prefill in chunks of {n}, {threads}"),
    }
}

fn slots(status: &Status) -> String {
    let Status { n_running, n_slots, n_waiting, n_connections, .. } = status;
    let connections = count((*n_connections).into(), "connection");
    format!("{n_running} of {n_slots} busy, {n_waiting} waiting, {connections}")
}

fn state(state: &State) -> String {
    match state {
        State::Ready => "ready".into(),
        State::Unloaded => "unloaded: the next request loads the model".into(),
        State::Stalled { ms, requests } => format!(
            "stalled: an engine step has been running for {} (requests {requests:?} in the log); try: kill the \
             process below and restart it",
            span(*ms)
        ),
        State::Draining => "draining: finishing its last requests".into(),
        State::Failed { message } => format!("failed: {message}"),
        State::Loading { stage, fraction } => format!("loading: {} {:.0} %", stage.label(), fraction * 100.0),
    }
}

/// An address as a URL; a Unix socket has none.
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

/// The number of offloaded layers includes the output layer, which the model's number of layers does not.
pub fn backend(model: &Model) -> String {
    let layers = match model.n_gpu_layers {
        0 => return model.backend.clone(),
        n => format!("{}, {n}/{} layers offloaded", model.backend, model.n_layers + 1),
    };
    match &model.gpu {
        Some(gpu) if gpu.n_total > 0 => {
            let n_used = gpu.n_total.saturating_sub(gpu.n_free);
            format!("{layers}; {}, {} used, {} free", gpu.description, bytes(n_used), bytes(gpu.n_free))
        }
        _ => layers,
    }
}

fn prefixes(status: &Status) -> String {
    let Status { n_prefixes, n_prefix_tokens, n_prefix_hits, n_tokens_saved, .. } = status;
    let size = if status.n_prefix_bytes > 0 { format!(", {}", bytes(status.n_prefix_bytes)) } else { String::new() };
    format!("{n_prefixes} cached, {n_prefix_tokens} tokens{size}; {n_prefix_hits} hits saved {n_tokens_saved} tokens")
}

/// The prefixes on disk, if there are any or any has been used.
fn stored(status: &Status) -> Option<String> {
    let StoredPrefixes { n_entries, n_bytes, n_restored } = status.stored;
    let restored = if n_restored > 0 { format!(", {n_restored} restored") } else { String::new() };
    (n_entries > 0 || n_restored > 0).then(|| format!("{n_entries} on disk, {}{restored}", bytes(n_bytes)))
}

/// The drafters, their limit and their acceptance, or why there are none.
fn guessing(speculation: &SpeculationStatus) -> Option<String> {
    let reason = speculation.reason.as_deref().filter(|reason| !reason.is_empty());
    if speculation.drafters.is_empty() {
        return reason.map(|reason| format!("off: {reason}"));
    }
    let model = speculation.draft_model.as_ref().map(|model| format!(" (draft model {model})")).unwrap_or_default();
    let mut text = format!("{}{model}, up to {} tokens", speculation.drafters.join(", "), speculation.n_max);
    if let Some(share) = percent(speculation.n_accepted, speculation.n_drafted) {
        text += &format!("; {} of {} accepted ({share:.0} %)", speculation.n_accepted, speculation.n_drafted);
    }
    if let Some(reason) = reason {
        text += &format!("; {reason}");
    }
    Some(text)
}

pub fn tuning(tuning: &Tuning) -> Option<String> {
    let Tuning { origin, is_calibrated, is_repacked, kv_cache, decode_width } = tuning;
    let calibrated = if *is_calibrated { "calibrated: " } else { "" };
    let weights = if *is_repacked { "repacked" } else { "as stored" };
    let answers = count((*decode_width).into(), "answer");
    // The origin comes last, because it ends with advice if there was no calibration.
    (!origin.is_empty())
        .then(|| format!("weights {weights}, KV cache {kv_cache}, {answers} per step; {calibrated}{origin}"))
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

/// Each finished stage with its time and its share of the total.
fn loading(stages: &[Stage]) -> Vec<(&'static str, String)> {
    let total: u64 = stages.iter().map(|stage| stage.us).sum();
    let row = |us: u64| {
        let percent = if total == 0 { 0.0 } else { us as f64 * 100.0 / total as f64 };
        format!("{:>10.1} ms {percent:>4.0} %", us as f64 / 1000.0)
    };
    let mut rows: Vec<_> = stages.iter().map(|stage| (stage.stage.label(), row(stage.us))).collect();
    if rows.len() > 1 {
        rows.push(("total", row(total)));
    }
    rows
}

#[cfg(test)]
#[path = "status_tests.rs"]
pub(crate) mod tests;
