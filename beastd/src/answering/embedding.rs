//! Answers a request for embeddings: wait for the model, tokenize, compute.

use std::sync::Arc;

use beast_protocol::{Embed, Embedded, ErrorCode, Event, MAX_TEXTS, WireError};

use super::{Peer, Stopped, counted, wait_until_ready};
use crate::batch::Token;
use crate::loader::Ready;
use crate::shared::{Phase, Shared};
use crate::worker::shutting_down;

/// Embeds the texts of a request. The last event is `Embedded`, unless an error is returned.
///
/// # Errors
/// See [`Stopped`].
pub async fn embed<P: Peer>(shared: &Arc<Shared>, peer: &mut P, request: Embed) -> Result<(), Stopped> {
    counted(shared, embed_whole(shared, peer, request)).await
}

async fn embed_whole<P: Peer>(shared: &Arc<Shared>, peer: &mut P, request: Embed) -> Result<(), Stopped> {
    if shared.phase() != Phase::Serving {
        return Err(Stopped::Refused(shutting_down()));
    }
    let n = request.texts.len();
    if n > MAX_TEXTS {
        let text = format!("too many texts: {n}; try: send at most {MAX_TEXTS} at once");
        return Err(Stopped::Refused(WireError::new(ErrorCode::Invalid, text)));
    }
    let (ready, lease) = wait_until_ready(shared, peer).await?;
    let embedded = {
        let embedding = async {
            let Encoded { inputs, truncated } = encode(shared, &ready, request).await?;
            let n_tokens = inputs.iter().map(|input| input.len() as u64).sum();
            let vectors = shared.worker.embed(inputs).await?;
            Ok(Embedded {
                model: ready.model.name.clone(),
                fingerprint: ready.fingerprint,
                vectors,
                n_tokens,
                truncated,
                notices: ready.notices_to_tell(),
            })
        };
        tokio::pin!(embedding);
        tokio::select! {
            biased;
            outcome = &mut embedding => outcome.map_err(Stopped::Refused)?,
            stopped = peer.departure() => return Err(stopped),
        }
    };
    drop((ready, lease));
    Ok(peer.send(&[Event::Embedded(embedded)]).await?)
}

/// Texts as tokens.
struct Encoded {
    inputs: Vec<Vec<Token>>,
    /// Indices of truncated texts.
    truncated: Vec<u32>,
}

/// Off the sockets' thread: tokenizing takes time.
async fn encode(shared: &Shared, ready: &Ready, Embed { texts, drop_tail }: Embed) -> Result<Encoded, WireError> {
    let _permit = shared.tokenizing.acquire().await.expect("the semaphore is never closed");
    let admission = Arc::clone(&ready.admission);
    let encoding = tokio::task::spawn_blocking(move || {
        let (vocab, n_ctx) = (admission.vocab(), admission.n_ctx());
        let mut truncated = Vec::new();
        let encode = |(nth, text): (u32, &String)| {
            let mut tokens = vocab.tokenize(text, true, false);
            if drop_tail && tokens.len() > n_ctx {
                tokens.truncate(n_ctx);
                truncated.push(nth);
            }
            tokens
        };
        let inputs = (0..).zip(&texts).map(encode).collect();
        Encoded { inputs, truncated }
    });
    encoding.await.map_err(|error| {
        let text = format!(
            "cannot tokenize the texts: {error}; try: repeat the request, and see beastctl logs for the reason"
        );
        WireError::new(ErrorCode::Internal, text)
    })
}
