//! Continues an answer as another request: after thoughts that have reached their limit, and where it repeats itself,
//! to bring it to its end.

use std::fmt;
use std::sync::Arc;

use beast_protocol::{Delta, Event, Generate};

use super::models::wait_until_ready;
use super::peer::{Peer, Stopped};
use super::{admit, relay};
use crate::clock::now_us;
use crate::residents::Hold;
use crate::shared::Shared;
use crate::shown::{Continuation, Shown, Why};
use crate::worker::Ticket;

/// The least strength of DRY for an answer that has repeated itself. With llama.cpp's base, the fifth token of a copy
/// loses 4 and the tenth 70.
const DRY_MULTIPLIER: f32 = 0.8;
/// The least penalty per occurrence for the tokens of such an answer. DRY does not look beyond the end of a line, so it
/// does not see lines of a word or two that repeat.
const FREQUENCY_PENALTY: f32 = 0.3;
/// Most tokens from there to its end: two or three sentences.
const CLOSING: u32 = 96;

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Thoughts { .. } => "the limit of thoughts is reached",
            Self::Repeats { .. } => "it repeats itself",
        })
    }
}

/// Changes the request and goes on with its answer. Returns how it continues after that, if it does.
///
/// # Errors
/// See [`Stopped`].
pub(super) async fn go_on<P: Peer>(
    shared: &Arc<Shared>,
    peer: &mut P,
    request: &mut Generate,
    continuation: Continuation,
    started: Event,
) -> Result<Option<Continuation>, Stopped> {
    let arrived_us = now_us();
    let Hold { resident, ready, lease } = wait_until_ready(shared, peer, request.model.as_deref()).await?;
    let Continuation { mut said, why } = continuation;
    match &why {
        Why::Thoughts { closing } => {
            let tokens = ready.admission.vocab().tokenize(closing, false, true);
            let tokens: Vec<i32> = tokens.into_iter().map(|token| token.0).collect();
            said.text += closing;
            said.tokens.extend(&tokens);
            request.max_thought = None;
            // With no deltas at all, the client would show the closing tag as part of the answer.
            let (text, deltas, logprobs) = (closing.clone(), vec![Delta::Text(String::new())], Vec::new());
            peer.send(&[Event::Piece { text, tokens, sampled_at_us: now_us(), deltas, logprobs }]).await?;
        }
        Why::Repeats { .. } => close(request, u32::try_from(said.tokens.len()).unwrap_or(u32::MAX)),
    }
    request.resume = Some(said);
    let asked = Arc::new(request.clone());
    let mut admitted = match (admit(shared, &ready, &asked).await, &why) {
        (Ok((admitted, _)), _) => admitted,
        // An input that was merged from parts, or a full context: the answer remains as it is.
        (Err(_), Why::Repeats { done }) => return Ok(peer.send(&[Event::clone(done)]).await.map(|()| None)?),
        (Err(error), Why::Thoughts { .. }) => return Err(Stopped::Refused(error)),
    };
    let mut shown = Shown::new(&asked, admitted.parser.take()).continued(&why);
    let ticket = Ticket { arrived_us, waits_since_us: arrived_us, started, lease: Some(lease) };
    let (id, events) = resident.worker.submit(admitted, ticket).map_err(Stopped::Refused)?;
    drop(ready);
    relay(&resident, peer, id, events, &mut shown).await
}

/// Makes the rest of the answer, after `n_said` tokens, different and short.
fn close(request: &mut Generate, n_said: u32) {
    let strength = request.sampling.dry_multiplier.unwrap_or(0.0).max(DRY_MULTIPLIER);
    request.sampling.dry_multiplier = Some(strength);
    let penalty = request.sampling.frequency_penalty.unwrap_or(0.0).max(FREQUENCY_PENALTY);
    request.sampling.frequency_penalty = Some(penalty);
    request.soft_limit = Some(n_said);
    let most = n_said.saturating_add(CLOSING);
    request.max_tokens = Some(request.max_tokens.map_or(most, |n| n.min(most)));
}
