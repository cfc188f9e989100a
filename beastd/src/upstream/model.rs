//! One upstream model: its servers, what they say of themselves, and how a request is repeated until one answers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use beast_launchd::Advised;
use beast_protocol::{ErrorCode, UpstreamStatus, Usage, WireError};
use serde_json::Value;

use super::failure::Fault;
use super::server::{self, Asking, Client, Key, Server};
use crate::config::upstream::UpstreamConfig;

/// Attempts for one request, and the pauses between them: doubled each time.
pub(super) const MAX_ATTEMPTS: usize = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A server that asks to wait longer than this is refused instead: the client can wait as well.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The name of a server's only model, when it does not list any.
const UNNAMED: &str = "default";
/// Requests at once for one task, for each server that does not tell how many it takes.
const N_PARALLEL: usize = 4;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAnswered {
    pub error: WireError,
    /// The local model that should answer instead; only if nothing was sent yet.
    pub fallback: Option<String>,
}

impl NotAnswered {
    /// What no other model would answer either.
    pub(super) fn finally(error: WireError) -> Self {
        Self { error, fallback: None }
    }
}

#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) config: UpstreamConfig,
    pub(super) servers: Vec<Server>,
    pub(super) client: Client,
    /// The key, or the variable that lacks one.
    key: Result<Option<Key>, String>,
    /// What a server has said of itself.
    about: Mutex<Option<About>>,
    /// The pause before the second attempt.
    pub(super) pause: Duration,
    /// Whether the servers know `chat_template_kwargs`, as far as they have said.
    pub(super) takes_kwargs: AtomicBool,
    counts: Counts,
}

/// What is counted since the start.
#[derive(Debug, Default)]
struct Counts {
    n_requests: AtomicU64,
    n_prompt_tokens: AtomicU64,
    n_generated_tokens: AtomicU64,
    /// Why the last request failed, unless it succeeded.
    problem: Mutex<Option<String>>,
}

/// What a server says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct About {
    pub(super) model: Option<String>,
    /// In tokens.
    pub(super) context: Option<u32>,
    /// Requests that it computes at once.
    pub(super) n_slots: Option<u32>,
}

impl About {
    /// The model's name for the server.
    pub(super) fn model(&self) -> &str {
        self.model.as_deref().unwrap_or(UNNAMED)
    }
}

/// A request, which may be sent several times.
pub(super) trait Attempt: Send {
    type Answer;

    fn ask(&mut self, server: &Server, asking: &Asking<'_>)
    -> impl Future<Output = Result<Self::Answer, Fault>> + Send;

    /// Whether some of the answer was passed on, so that nothing may be repeated.
    fn has_begun(&self) -> bool {
        false
    }
}

impl Upstream {
    pub(super) fn new(
        config: UpstreamConfig,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, rustls::Error> {
        let key = config.api_key_env.as_ref().map(|name| {
            let key = variable(name).and_then(|text| Key::new(text.trim()));
            key.filter(|key| !key.text().is_empty()).ok_or_else(|| name.clone())
        });
        let servers = config.urls.iter().map(|url| Server::new(url)).collect();
        let client = server::client(config.urls.iter().any(|url| url.starts_with("https:")))?;
        Ok(Self {
            config,
            servers,
            client,
            key: key.transpose(),
            about: Mutex::default(),
            pause: FIRST_PAUSE,
            takes_kwargs: AtomicBool::new(true),
            counts: Counts::default(),
        })
    }

    /// Asks one server after the other until one answers. Once something has been passed on, nothing is repeated.
    pub(super) async fn ask<A: Attempt>(&self, attempt: &mut A) -> Result<A::Answer, NotAnswered> {
        let key = self.key()?;
        let asking = Asking { client: &self.client, key, silence: self.config.timeout };
        let mut tried = Vec::new();
        let mut pause = self.pause;
        loop {
            let server = server::next(&self.servers, &tried);
            tried.push(server.url.as_str());
            let outcome = {
                let _running = server.running();
                attempt.ask(server, &asking).await
            };
            server.note(outcome.as_ref().err());
            let fault = match outcome {
                Ok(answer) => {
                    self.counts.n_requests.fetch_add(1, Relaxed);
                    *lock(&self.counts.problem) = None;
                    return Ok(answer);
                }
                Err(fault) => fault,
            };
            if matches!(fault, Fault::Refused { status: 404, .. }) {
                // It may have another model by now.
                *lock(&self.about) = None;
            }
            let error = fault.told(&self.config.name, &server.url, key.map(Key::text));
            tracing::warn!(attempt = tried.len(), "{}", error.message);
            let wait = fault.retry_after().unwrap_or(pause);
            let has_other = tried.len() < self.servers.len() && (fault.is_passing() || fault.is_of_server());
            let may_wait = fault.is_passing() && wait <= LONGEST_PAUSE && tried.len() < MAX_ATTEMPTS;
            if attempt.has_begun() || !has_other && !may_wait {
                *lock(&self.counts.problem) = Some(Advised::new(&error.message).text);
                let may_fall_back = !attempt.has_begun() && !fault.is_of_request();
                return Err(if may_fall_back { self.instead(error) } else { NotAnswered::finally(error) });
            }
            // Another server need not wait for this one.
            if !has_other {
                tokio::time::sleep(wait).await;
                pause *= 2;
            }
        }
    }

    /// The key of the servers, if they need one.
    pub(super) fn key(&self) -> Result<Option<&Key>, NotAnswered> {
        self.key.as_ref().map(Option::as_ref).map_err(|variable| {
            let text = format!(
                "the variable {variable} of [upstream.{}] has no key; try: set it where beastd starts, and restart it",
                self.config.name
            );
            self.instead(WireError::new(ErrorCode::ModelUnavailable, text))
        })
    }

    fn instead(&self, error: WireError) -> NotAnswered {
        NotAnswered { error, fallback: self.config.fallback.clone() }
    }

    /// Counts tokens as a server has counted them.
    pub(super) fn note(&self, usage: Usage) {
        self.counts.n_prompt_tokens.fetch_add(usage.n_prompt.into(), Relaxed);
        self.counts.n_generated_tokens.fetch_add(usage.n_generated.into(), Relaxed);
    }

    /// Model, context and slots: from the configuration, else from a server, once one has said them.
    pub(super) async fn about(&self) -> About {
        if let Some(known) = self.known() {
            return known;
        }
        // Without an answer, the request itself will show what is wrong.
        if let Ok(found) = self.look().await {
            *lock(&self.about) = Some(found);
        }
        self.known().unwrap_or_else(|| self.completed(About::default()))
    }

    /// The same without asking, as far as it is known.
    fn known(&self) -> Option<About> {
        let UpstreamConfig { model, context, .. } = &self.config;
        let said = lock(&self.about).clone();
        let is_enough = said.is_some() || model.is_some() && context.is_some();
        is_enough.then(|| self.completed(said.unwrap_or_default()))
    }

    fn completed(&self, said: About) -> About {
        let UpstreamConfig { model, context, .. } = &self.config;
        About { model: model.clone().or(said.model), context: context.or(said.context), n_slots: said.n_slots }
    }

    async fn look(&self) -> Result<About, Fault> {
        let server = server::next(&self.servers, &[]);
        let key = self.key.as_ref().ok().and_then(Option::as_ref);
        let models = server.about(&self.client, key, &format!("{}/models", server.url), None).await?;
        let mut about = models.map(|models| listed(&models, self.config.model.as_deref())).unwrap_or_default();
        if about.context.is_none() {
            let props = server.about(&self.client, key, &format!("{}/props", server.root()), None).await?;
            let props = props.unwrap_or_default();
            about.context = number(&props["default_generation_settings"]["n_ctx"]);
            about.n_slots = number(&props["total_slots"]);
        }
        Ok(about)
    }

    /// What a server says to a POST below its root; `None` if it has no answer.
    ///
    /// # Errors
    /// [`Fault`], when there is no response.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Option<Value>, Fault> {
        let server = server::next(&self.servers, &[]);
        let key = self.key.as_ref().ok().and_then(Option::as_ref);
        server.about(&self.client, key, &format!("{}{path}", server.root()), Some(body)).await
    }

    /// Requests to send at once for one task.
    pub(super) fn n_parallel(&self, about: &About) -> usize {
        let n_each = about.n_slots.map_or(N_PARALLEL, |n| n as usize);
        self.config.parallel.unwrap_or_else(|| n_each.saturating_mul(self.servers.len()))
    }

    pub(super) fn status(&self) -> UpstreamStatus {
        let About { model, context, .. } = self.known().unwrap_or_else(|| self.completed(About::default()));
        let n_running: usize = self.servers.iter().map(Server::n_running).sum();
        UpstreamStatus {
            name: self.config.name.clone(),
            urls: self.config.urls.clone(),
            model,
            n_ctx: context,
            fallback: self.config.fallback.clone(),
            n_running: u32::try_from(n_running).unwrap_or(u32::MAX),
            n_requests: self.counts.n_requests.load(Relaxed),
            n_prompt_tokens: self.counts.n_prompt_tokens.load(Relaxed),
            n_generated_tokens: self.counts.n_generated_tokens.load(Relaxed),
            problem: lock(&self.counts.problem).clone(),
        }
    }

    /// Its name, with the servers' name for it.
    pub(super) fn full_name(&self, about: &About) -> String {
        format!("{} ({})", self.config.name, about.model())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|error| error.into_inner())
}

/// What a list of models says of the wanted one, or of the first.
fn listed(models: &Value, wanted: Option<&str>) -> About {
    let Some(list) = models["data"].as_array() else { return About::default() };
    let is_wanted = |model: &&Value| wanted.is_none_or(|wanted| model["id"] == wanted);
    let Some(model) = list.iter().find(is_wanted) else { return About::default() };
    let context =
        [&model["max_model_len"], &model["context_length"], &model["context_window"], &model["meta"]["n_ctx"]];
    let context = context.into_iter().find_map(number);
    About { model: model["id"].as_str().map(str::to_owned), context, n_slots: None }
}

pub(super) fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0)
}
