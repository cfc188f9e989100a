//! Models that other servers compute: a request becomes one for an OpenAI-compatible server, and its stream becomes our
//! events.
//!
//! Knows messages, HTTP as a client, and its configuration. Never knows our sockets, the worker, or who asks. Dropping
//! the future of an answer closes its connection.

mod body;
mod chunk;
mod failure;
mod server;
mod sizes;
mod sse;

use std::time::Duration;

use beast_protocol::{ErrorCode, Event, FinishReason, Generate, Notice, Timings, Usage, WireError};
use serde_json::{Value, json};
use tokio::sync::{OnceCell, mpsc};

use self::chunk::Said;
use self::failure::Fault;
use self::server::{Asking, Client, Key, Server, Sink};
use crate::clock::now_us;
use crate::config::upstream::UpstreamConfig;
use crate::extent::Until;

/// Attempts for one request, and the pauses between them: doubled each time.
const MAX_ATTEMPTS: usize = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A server that asks to wait longer than this is refused instead: the client can wait as well.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The name of a server's only model, when it does not list any.
const UNNAMED: &str = "default";

/// All upstream models of the configuration.
#[derive(Debug, Default)]
pub struct Upstreams(Vec<Upstream>);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAnswered {
    pub error: WireError,
    /// The local model that should answer instead; only if nothing was sent yet.
    pub fallback: Option<String>,
}

impl Upstreams {
    /// `variable` reads the environment, for keys.
    ///
    /// # Errors
    /// When the system's roots of trust cannot be used.
    pub fn new(configs: &[UpstreamConfig], variable: impl Fn(&str) -> Option<String>) -> Result<Self, rustls::Error> {
        let of_one = |config: &UpstreamConfig| Upstream::new(config.clone(), &variable);
        Ok(Self(configs.iter().map(of_one).collect::<Result<_, _>>()?))
    }

    /// Whether a request for this model goes to an upstream.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The names, in the order of the configuration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|upstream| upstream.config.name.as_str())
    }

    fn find(&self, name: &str) -> Option<&Upstream> {
        self.0.iter().find(|upstream| upstream.config.name == name)
    }
}

/// Answers a request: `Started`, then `Piece`s, then `Done`. Nothing is sent before the server's first piece, and until
/// then a request is repeated. When `events` is closed, the answer is cancelled.
///
/// # Errors
/// See [`NotAnswered`].
pub async fn answer(
    upstreams: &Upstreams,
    name: &str,
    request: &Generate,
    events: &mpsc::Sender<Event>,
) -> Result<(), NotAnswered> {
    match upstreams.find(name) {
        Some(upstream) => upstream.answer(request, events).await,
        None => {
            let text = format!("no [upstream.{name}] in the configuration; try: beastctl models");
            Err(NotAnswered { error: WireError::new(ErrorCode::Invalid, text), fallback: None })
        }
    }
}

#[derive(Debug)]
struct Upstream {
    config: UpstreamConfig,
    servers: Vec<Server>,
    client: Client,
    /// The key, or the variable that lacks one.
    key: Result<Option<Key>, String>,
    about: OnceCell<About>,
    /// The pause before the second attempt.
    pause: Duration,
}

/// What a server says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct About {
    model: Option<String>,
    /// In tokens.
    context: Option<u32>,
}

impl Upstream {
    fn new(config: UpstreamConfig, variable: impl Fn(&str) -> Option<String>) -> Result<Self, rustls::Error> {
        let key = config.api_key_env.as_ref().map(|name| {
            let key = variable(name).and_then(|text| Key::new(text.trim()));
            key.filter(|key| !key.text().is_empty()).ok_or_else(|| name.clone())
        });
        let servers = config.urls.iter().map(|url| Server::new(url)).collect();
        let client = server::client(config.urls.iter().any(|url| url.starts_with("https:")))?;
        let (key, about) = (key.transpose(), OnceCell::new());
        Ok(Self { config, servers, client, key, about, pause: FIRST_PAUSE })
    }

    async fn answer(&self, request: &Generate, events: &mpsc::Sender<Event>) -> Result<(), NotAnswered> {
        let arrived_us = now_us();
        let refused = |error| NotAnswered { error, fallback: None };
        let key = self.key.as_ref().map_err(|variable| {
            let text = format!(
                "the variable {variable} of [upstream.{}] has no key; try: set it where beastd starts, and restart it",
                self.config.name
            );
            self.instead(WireError::new(ErrorCode::ModelUnavailable, text))
        })?;
        let about = self.about(key.as_ref()).await;
        let mut request = request.clone();
        let n_prompt = self.n_prompt(&request, &about, key.as_ref()).await;
        let notice = sizes::fit(&mut request, n_prompt, about.context, &self.config.name).map_err(refused)?;
        let model = about.model.as_deref().unwrap_or(UNNAMED);
        let body = body::body(&request, model).map_err(refused)?.to_string();
        let started = Event::Started {
            model: format!("{} ({model})", self.config.name),
            n_prompt: u32::try_from(n_prompt).unwrap_or(u32::MAX),
            n_ctx: about.context.unwrap_or(0),
            notices: Vec::from_iter(notice),
        };
        let asking = Asking { client: &self.client, key: key.as_ref(), body: &body, silence: self.config.timeout };
        let mut telling = Telling::new(events, started, &request, arrived_us);
        let said = self.ask(&asking, &mut telling).await?;
        telling.finish(&said, n_prompt).await;
        Ok(())
    }

    /// Asks one server after the other until one answers. Once a piece has been sent, nothing is repeated.
    async fn ask(&self, asking: &Asking<'_>, telling: &mut Telling<'_>) -> Result<Said, NotAnswered> {
        let mut tried = Vec::new();
        let mut pause = self.pause;
        loop {
            let server = server::next(&self.servers, &tried);
            tried.push(server.url.as_str());
            let mut said = Said::default();
            let fault = server.stream(asking, &mut said, telling).await.err();
            server.note(fault.as_ref());
            let Some(fault) = fault else { return Ok(said) };
            let error = fault.told(&self.config.name, &server.url, asking.key.map(Key::text));
            tracing::warn!(attempt = tried.len(), "{}", error.message);
            let wait = fault.retry_after().unwrap_or(pause);
            let has_other = tried.len() < self.servers.len() && (fault.is_passing() || fault.is_of_server());
            let may_wait = fault.is_passing() && wait <= LONGEST_PAUSE && tried.len() < MAX_ATTEMPTS;
            if telling.has_started() || !has_other && !may_wait {
                let may_fall_back = !telling.has_started() && !fault.is_of_request();
                return Err(if may_fall_back { self.instead(error) } else { NotAnswered { error, fallback: None } });
            }
            // Another server need not wait for this one.
            if !has_other {
                tokio::time::sleep(wait).await;
                pause *= 2;
            }
        }
    }

    fn instead(&self, error: WireError) -> NotAnswered {
        NotAnswered { error, fallback: self.config.fallback.clone() }
    }

    /// Model and context: from the configuration, else from a server, once one has said them.
    async fn about(&self, key: Option<&Key>) -> About {
        let UpstreamConfig { model, context, .. } = &self.config;
        if model.is_some() && context.is_some() {
            return About { model: model.clone(), context: *context };
        }
        // Without an answer, the request itself will show what is wrong.
        let found = self.about.get_or_try_init(|| self.look(key)).await.cloned().unwrap_or_default();
        About { model: model.clone().or(found.model), context: context.or(found.context) }
    }

    async fn look(&self, key: Option<&Key>) -> Result<About, Fault> {
        let server = server::next(&self.servers, &[]);
        let models = server.about(&self.client, key, &format!("{}/models", server.url), None).await?;
        let mut about = models.map(|models| listed(&models, self.config.model.as_deref())).unwrap_or_default();
        if about.context.is_none() && self.config.context.is_none() {
            let props = server.about(&self.client, key, &format!("{}/props", server.root()), None).await?;
            about.context = props.and_then(|props| number(&props["default_generation_settings"]["n_ctx"]));
        }
        Ok(about)
    }

    /// Tokens of the prompt: counted by the server if it may not fit, else estimated.
    async fn n_prompt(&self, request: &Generate, about: &About, key: Option<&Key>) -> usize {
        let text = sizes::text(request);
        let estimated = sizes::n_prompt(request, sizes::estimate(text.len()));
        if about.context.is_none_or(|n_ctx| estimated <= n_ctx as usize / 2) {
            return estimated;
        }
        let server = server::next(&self.servers, &[]);
        // vLLM reads `prompt`, llama-server `content`.
        let body = json!({"model": about.model, "prompt": text, "content": text});
        let counted = server.about(&self.client, key, &format!("{}/tokenize", server.root()), Some(&body)).await;
        let counted = counted.ok().flatten().and_then(|counted| {
            let n_listed = counted["tokens"].as_array().map(Vec::len);
            number(&counted["count"]).map(|n| n as usize).or(n_listed)
        });
        counted.map_or(estimated, |n| sizes::n_prompt(request, n))
    }
}

/// What a list of models says of the wanted one, or of the first.
fn listed(models: &Value, wanted: Option<&str>) -> About {
    let Some(list) = models["data"].as_array() else { return About::default() };
    let is_wanted = |model: &&Value| wanted.is_none_or(|wanted| model["id"] == wanted);
    let Some(model) = list.iter().find(is_wanted) else { return About::default() };
    let context =
        [&model["max_model_len"], &model["context_length"], &model["context_window"], &model["meta"]["n_ctx"]];
    About { model: model["id"].as_str().map(str::to_owned), context: context.into_iter().find_map(number) }
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0)
}

/// Sends the events of one answer.
struct Telling<'a> {
    events: &'a mpsc::Sender<Event>,
    /// Sent before the first piece.
    started: Option<Event>,
    until: Until,
    arrived_us: u64,
    first_us: u64,
    last_us: u64,
    is_gone: bool,
}

impl<'a> Telling<'a> {
    fn new(events: &'a mpsc::Sender<Event>, started: Event, request: &Generate, arrived_us: u64) -> Self {
        let until = Until::new(request.extent);
        Self { events, started: Some(started), until, arrived_us, first_us: 0, last_us: 0, is_gone: false }
    }

    fn has_started(&self) -> bool {
        self.started.is_none()
    }

    /// Whether the client is gone or needs no more.
    fn is_over(&self) -> bool {
        self.is_gone || self.until.is_over()
    }

    async fn send(&mut self, event: Event) {
        self.is_gone |= self.events.send(event).await.is_err();
    }

    async fn start(&mut self) {
        if let Some(started) = self.started.take() {
            self.first_us = now_us();
            self.send(started).await;
        }
    }

    /// The end of a complete answer.
    async fn finish(mut self, said: &Said, n_prompt: usize) {
        // An empty answer has no piece.
        self.start().await;
        let estimated = || Usage {
            n_prompt: u32::try_from(n_prompt).unwrap_or(u32::MAX),
            n_generated: u32::try_from(sizes::estimate(said.n_bytes)).unwrap_or(u32::MAX),
            ..Usage::default()
        };
        let usage = said.usage.unwrap_or_else(estimated);
        let first_token_us = self.first_us.saturating_sub(self.arrived_us);
        let decode_us = self.last_us.saturating_sub(self.first_us);
        let timings = Timings { queued_us: 0, prefill_us: first_token_us, decode_us, first_token_us };
        let reason =
            if self.until.is_over() { FinishReason::StopText } else { said.reason.unwrap_or(FinishReason::Stop) };
        self.send(Event::Done { reason, usage, timings, stop_text: None, dead_end: None }).await;
    }
}

impl Sink for Telling<'_> {
    async fn take(&mut self, piece: Event) -> bool {
        self.start().await;
        self.last_us = now_us();
        let mut events = vec![piece];
        self.until.cut(&mut events);
        for event in events {
            self.send(event).await;
        }
        !self.is_over()
    }
}

/// The notice about a local model that answers in place of an upstream.
pub fn notice_of_fallback(name: &str, model: &str, why: &WireError) -> Notice {
    let why = why.message.split("; try: ").next().unwrap_or_default();
    let text = format!("{model} answers instead of {name}: {why}");
    Notice { kind: beast_protocol::NoticeKind::Warning, text }
}

#[cfg(test)]
#[path = "upstream_tests.rs"]
mod tests;
