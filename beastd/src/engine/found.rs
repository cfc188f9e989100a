//! What a GPU found in the logits of a step.

use crate::batch::Token;

/// The likeliest token after a row of logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Likeliest {
    pub(super) token: Token,
    /// Whether all logits are numbers and the largest is finite.
    pub(super) is_sound: bool,
}

/// What a step left that was to be searched by a GPU.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "other linkers do not redirect llama.cpp's calls"))]
pub(super) enum Found {
    /// The likeliest token of each row.
    Likeliest(Vec<Likeliest>),
    /// Only the logits, which llama.cpp has copied.
    Logits,
    /// Neither for all rows.
    Nothing,
}
