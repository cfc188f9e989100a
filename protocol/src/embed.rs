//! Embeddings: texts as vectors, which are close to each other if the texts are alike.

use serde::{Deserialize, Serialize};

use crate::notice::Notice;

/// Most texts of a request.
pub const MAX_TEXTS: usize = 2048;

/// Texts to embed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Embed {
    /// See [`crate::Generate::model`].
    pub model: Option<String>,
    /// The texts, at most [`MAX_TEXTS`]; none may be empty.
    pub texts: Vec<String>,
    /// Embeds only the beginning of a text that is longer than the context; otherwise it is refused.
    pub drop_tail: bool,
}

/// The answer to [`Embed`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Embedded {
    /// Name of the model.
    pub model: String,
    /// Identifies the model's file; vectors of different models cannot be compared. `None` if it cannot be read.
    pub fingerprint: Option<[u8; 32]>,
    /// A vector of length 1 per text, in the request's order.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens computed.
    pub n_tokens: u64,
    /// Indices of the texts of which only the beginning was embedded.
    pub truncated: Vec<u32>,
    /// Notices for the user.
    pub notices: Vec<Notice>,
}
