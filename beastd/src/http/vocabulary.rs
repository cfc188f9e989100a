//! Access to a model's vocabulary and template without generating, off the sockets' thread. Knows no dialect.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use beast_protocol::Event;
use hyper::StatusCode;
use tokio::task::spawn_blocking;

use super::client::Client;
use super::fields::Fields;
use super::models;
use super::refusal::Refusal;
use super::wire::Line;
use crate::admission::Admission;
use crate::answering::{self, Change, Counted, Peer, Stopped};
use crate::batch::Token;
use crate::engine::Vocab;
use crate::lease::Lease;
use crate::loader::Ready;
use crate::residents::Hold;
use crate::worker::WorkerHandle;

/// A model that stays loaded as long as this value lives.
pub(crate) struct Held {
    pub(crate) ready: Arc<Ready>,
    pub(crate) worker: WorkerHandle,
    client: Client,
    _lease: Lease,
    _counted: Counted,
}

/// Waits for the model of this name, or the default one, and loads it if necessary.
///
/// # Errors
/// When it cannot be loaded.
pub(crate) async fn hold(client: &Client, model: Option<&str>) -> Result<Held, Refusal> {
    let counted = Counted::new(&client.shared);
    let mut waiting = Waiting(client.line.clone());
    let hold = answering::wait_until_ready(&client.shared, &mut waiting, model).await.map_err(refusal)?;
    let Hold { resident, ready, lease } = hold;
    Ok(Held { ready, worker: resident.worker.clone(), client: client.clone(), _lease: lease, _counted: counted })
}

/// Waits for the model that a request's field `model` names.
///
/// # Errors
/// When there is none, or it cannot be loaded.
pub(crate) async fn hold_named(client: &Client, fields: &Fields<'_>) -> Result<Held, Refusal> {
    let model = models::named(&client.shared, fields.text("model")?).await?;
    hold(client, model.as_deref()).await
}

/// Loads or unloads the model and waits until that is done.
///
/// # Errors
/// When that fails.
pub(crate) async fn change(client: &Client, change: Change) -> Result<(), Refusal> {
    let mut waiting = Waiting(client.line.clone());
    answering::change(&client.shared, &mut waiting, change).await.map_err(refusal)
}

impl Held {
    /// Runs `work` with the model's admission on another thread.
    ///
    /// # Errors
    /// Those of `work`.
    pub(crate) async fn beside<T, W>(&self, work: W) -> Result<T, Refusal>
    where
        T: Send + 'static,
        W: FnOnce(&Admission) -> Result<T, Refusal> + Send + 'static,
    {
        let _permit = self.client.shared.tokenizing.acquire().await.expect("the semaphore is never closed");
        let admission = Arc::clone(&self.ready.admission);
        spawn_blocking(move || work(&admission)).await.unwrap_or_else(|error| {
            let text = format!(
                "cannot process the request: {error}; try: repeat the request, and see beastctl logs for the reason"
            );
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", text))
        })
    }
}

fn refusal(stopped: Stopped) -> Refusal {
    match stopped {
        Stopped::Refused(error) => error.into(),
        // The client has disconnected.
        stopped => Refusal::invalid(stopped.to_string()),
    }
}

/// The client that waits for the model.
struct Waiting(Line);

impl Peer for Waiting {
    async fn send(&mut self, _: &[Event]) -> io::Result<()> {
        Ok(())
    }

    async fn departure(&mut self) -> Stopped {
        self.0.gone_whole().await;
        Stopped::Gone
    }
}

/// Converts tokens to bytes, control tokens to their text.
pub(crate) struct Pieces<'a> {
    vocab: &'a dyn Vocab,
    /// Texts of the control tokens, computed when the first one occurs.
    specials: Option<HashMap<Token, String>>,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(vocab: &'a dyn Vocab) -> Self {
        Self { vocab, specials: None }
    }

    /// The bytes of a token.
    ///
    /// # Errors
    /// 400 for an invalid token id.
    pub(crate) fn bytes(&mut self, token: i32) -> Result<Vec<u8>, Refusal> {
        let n_tokens = self.vocab.n_tokens();
        if !usize::try_from(token).is_ok_and(|n| n < n_tokens) {
            let text = format!("invalid tokens: {token} is not a token; the vocabulary has {n_tokens}");
            return Err(Refusal::invalid_field("tokens", text));
        }
        let mut bytes = Vec::new();
        self.vocab.piece(Token(token), &mut bytes);
        if bytes.is_empty() {
            let specials = self.specials.get_or_insert_with(|| specials(self.vocab));
            bytes.extend(specials.get(&Token(token)).map_or(&b""[..], |text| text.as_bytes()));
        }
        Ok(bytes)
    }

    /// The text of tokens.
    ///
    /// # Errors
    /// See [`Pieces::bytes`].
    pub(crate) fn text(&mut self, tokens: &[i32]) -> Result<String, Refusal> {
        let mut bytes = Vec::new();
        for &token in tokens {
            bytes.extend(self.bytes(token)?);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn specials(vocab: &dyn Vocab) -> HashMap<Token, String> {
    let token_of = |text: String| match vocab.tokenize(&text, false, true)[..] {
        [token] => Some((token, text)),
        _ => None,
    };
    vocab.special_texts().into_iter().filter_map(token_of).collect()
}
