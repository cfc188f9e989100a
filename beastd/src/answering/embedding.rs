//! Answers a request for embeddings: wait for the model, tokenize, compute.

use std::sync::Arc;

use beast_protocol::{Embed, Embedded, ErrorCode, Event, MAX_TEXTS, WireError};

use super::models::wait_until_ready;
use super::peer::{Peer, Stopped, counted, unless_gone};
use super::upstream::{Relayed, awaited};
use crate::admission::Admission;
use crate::admission::beside::beside;
use crate::batch::Token;
use crate::residents::Hold;
use crate::shared::Shared;

/// Embeds the texts of a request. The last event is `Embedded`, unless an error is returned.
///
/// # Errors
/// See [`Stopped`].
pub async fn embed<P: Peer>(shared: &Arc<Shared>, peer: &mut P, request: Embed) -> Result<(), Stopped> {
    counted(shared, embed_whole(shared, peer, request)).await
}

async fn embed_whole<P: Peer>(shared: &Arc<Shared>, peer: &mut P, mut request: Embed) -> Result<(), Stopped> {
    let n = request.texts.len();
    if n > MAX_TEXTS {
        let text = format!("too many texts: {n}; try: send at most {MAX_TEXTS} at once");
        return Err(Stopped::Refused(WireError::new(ErrorCode::Invalid, text)));
    }
    let mut fallback = None;
    if let Some(name) = shared.upstream(request.model.as_deref()) {
        let embedding = shared.upstreams.embed(&name, request.clone());
        match awaited(peer, &name, embedding).await? {
            Relayed::Answered(embedded) => return Ok(peer.send(&[Event::Embedded(embedded)]).await?),
            Relayed::Instead(model, notice) => (request.model, fallback) = (Some(model), Some(notice)),
        }
    }
    let Hold { resident, ready, lease } = wait_until_ready(shared, peer, request.model.as_deref()).await?;
    let embedding = async {
        let encoding = beside(&ready.admission, &shared.tokenizing, move |admission| Ok(encode(admission, &request)));
        let Encoded { inputs, truncated } = encoding.await?;
        let n_tokens = inputs.iter().map(|input| input.len() as u64).sum();
        let vectors = resident.worker.embed(inputs).await?;
        Ok(Embedded {
            model: ready.model.name.clone(),
            fingerprint: ready.fingerprint,
            vectors,
            n_tokens,
            truncated,
            notices: [ready.notices_to_tell(), fallback.into_iter().collect()].concat(),
        })
    };
    let embedded = unless_gone(peer, embedding).await?;
    drop((ready, lease));
    Ok(peer.send(&[Event::Embedded(embedded)]).await?)
}

/// Texts as tokens.
struct Encoded {
    inputs: Vec<Vec<Token>>,
    /// Indices of truncated texts.
    truncated: Vec<u32>,
}

fn encode(admission: &Admission, Embed { texts, drop_tail, .. }: &Embed) -> Encoded {
    let n_ctx = admission.n_ctx();
    let mut truncated = Vec::new();
    let encode = |(nth, text): (u32, &String)| {
        let mut tokens = admission.vocab().tokenize(text, true, false);
        if *drop_tail && tokens.len() > n_ctx {
            tokens.truncate(n_ctx);
            truncated.push(nth);
        }
        tokens
    };
    let inputs = (0..).zip(texts).map(encode).collect();
    Encoded { inputs, truncated }
}
