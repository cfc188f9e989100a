//! Models that other servers compute: a request becomes one for an OpenAI-compatible server, and its stream becomes our
//! events.
//!
//! Knows messages, HTTP as a client, and its configuration. Never knows our sockets, the worker, or who asks. Dropping
//! the future of an answer closes its connection.

mod body;
mod chunk;
mod embeddings;
mod failure;
mod first_token;
#[cfg(test)]
#[path = "fixture_tests.rs"]
mod fixture;
mod generation;
mod model;
mod server;
mod sizes;
mod sse;
mod telling;
mod tokens;
#[cfg(test)]
#[path = "vllm_tests.rs"]
mod vllm;

use std::sync::Arc;

use beast_launchd::Advised;
use beast_protocol::{
    Counted, Embed, Embedded, ErrorCode, Event, Generate, Notice, NoticeKind, UpstreamStatus, WireError,
};
use tokio::sync::mpsc;

pub use self::first_token::FirstToken;
pub use self::model::NotAnswered;
use self::model::Upstream;
use crate::config::upstream::UpstreamConfig;

/// All upstream models of the configuration.
#[derive(Debug, Default)]
pub struct Upstreams(Vec<Arc<Upstream>>);

/// Sizes for input that is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Context in tokens; `None` if neither the configuration nor a server says it.
    pub n_ctx: Option<usize>,
    /// Requests to send at once for one task.
    pub n_parallel: usize,
}

impl Upstreams {
    /// `variable` reads the environment, for keys.
    ///
    /// # Errors
    /// When the system's roots of trust cannot be used.
    pub fn new(configs: &[UpstreamConfig], variable: impl Fn(&str) -> Option<String>) -> Result<Self, rustls::Error> {
        let of_one = |config: &UpstreamConfig| Upstream::new(config.clone(), &variable).map(Arc::new);
        Ok(Self(configs.iter().map(of_one).collect::<Result<_, _>>()?))
    }

    /// The upstream model of this name, as the configuration writes it.
    pub fn named(&self, name: &str) -> Option<&str> {
        self.names().find(|known| known.eq_ignore_ascii_case(name))
    }

    /// The names, in the order of the configuration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|upstream| upstream.config.name.as_str())
    }

    /// The status of each, without asking a server.
    pub fn status(&self) -> Vec<UpstreamStatus> {
        self.0.iter().map(|upstream| upstream.status()).collect()
    }

    /// The error for what only a model on this machine can do: `cannot` such as `be loaded here`.
    pub fn refusal(&self, name: &str, cannot: &str) -> WireError {
        let urls = self.find(name).map(|upstream| upstream.config.urls.join(", ")).unwrap_or_default();
        let text = format!("another server computes {name} ({urls}), so it cannot {cannot}; try: pass a local model");
        WireError::new(ErrorCode::Invalid, text)
    }

    /// Answers a request: `Started`, then `Piece`s, then `Done`. Nothing is sent before the server's first piece, and
    /// until then a request is repeated. When `events` is closed, the answer is cancelled.
    ///
    /// # Errors
    /// See [`NotAnswered`].
    pub async fn answer(
        &self,
        name: &str,
        request: &Generate,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), NotAnswered> {
        self.get(name)?.answer(request, events).await
    }

    /// The first token of an answer and its likely alternatives.
    ///
    /// # Errors
    /// See [`NotAnswered`]; [`ErrorCode::Invalid`] when the server does not tell log-probabilities.
    pub async fn first_token(&self, name: &str, request: &Generate) -> Result<FirstToken, NotAnswered> {
        self.get(name)?.first_token(request).await
    }

    /// Embeds texts.
    ///
    /// # Errors
    /// See [`NotAnswered`].
    pub async fn embed(&self, name: &str, request: Embed) -> Result<Embedded, NotAnswered> {
        Arc::clone(self.get(name)?).embed(request).await
    }

    /// Counts the tokens of a whole prompt.
    ///
    /// # Errors
    /// [`ErrorCode::Invalid`] when the server cannot count; see [`NotAnswered`].
    pub async fn count(&self, name: &str, request: &Generate) -> Result<Counted, NotAnswered> {
        self.get(name)?.count(request).await
    }

    /// Context and parallel requests; asks a server if they are not known.
    ///
    /// # Errors
    /// When there is no such upstream model.
    pub async fn capacity(&self, name: &str) -> Result<Capacity, NotAnswered> {
        let upstream = self.get(name)?;
        let about = upstream.about().await;
        Ok(Capacity { n_ctx: about.context.map(|n| n as usize), n_parallel: upstream.n_parallel(&about) })
    }

    /// Tokens of a whole prompt: counted by a server, else estimated, rather too high.
    ///
    /// # Errors
    /// When there is no such upstream model.
    pub async fn n_prompt(&self, name: &str, request: &Generate) -> Result<usize, NotAnswered> {
        let upstream = self.get(name)?;
        let about = upstream.about().await;
        Ok(upstream.n_prompt(request, &about).await)
    }

    /// Whether a whole prompt leaves room for an answer.
    ///
    /// # Errors
    /// [`ErrorCode::TooLong`] if it does not.
    pub async fn check_fit(&self, name: &str, request: &Generate) -> Result<(), NotAnswered> {
        self.get(name)?.check_fit(request).await
    }

    /// The local model that answers in place of an upstream model that failed so.
    pub fn fallback(&self, name: &str, error: &WireError) -> Option<String> {
        let is_of_request = matches!(error.code, ErrorCode::Invalid | ErrorCode::TooLong);
        self.find(name).and_then(|upstream| upstream.config.fallback.clone()).filter(|_| !is_of_request)
    }

    /// Byte offsets of the ends of a text's tokens: as many as a server counts, else estimated, rather too many.
    ///
    /// # Errors
    /// When there is no such upstream model.
    pub async fn token_ends(&self, name: &str, text: Arc<String>) -> Result<Vec<usize>, NotAnswered> {
        Ok(Arc::clone(self.get(name)?).token_ends(text).await)
    }

    fn find(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.0.iter().find(|upstream| upstream.config.name == name)
    }

    fn get(&self, name: &str) -> Result<&Arc<Upstream>, NotAnswered> {
        self.find(name).ok_or_else(|| {
            let text = format!("no [upstream.{name}] in the configuration; try: beastctl models");
            NotAnswered::finally(WireError::new(ErrorCode::Invalid, text))
        })
    }
}

/// The notice about a local model that answers in place of an upstream.
pub fn notice_of_fallback(name: &str, model: &str, why: &WireError) -> Notice {
    let why = Advised::new(&why.message).text;
    let text = format!("{model} answers instead of {name}: {why}");
    Notice { kind: NoticeKind::Warning, text }
}
