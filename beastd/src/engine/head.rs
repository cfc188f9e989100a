//! Finds what would make llama.cpp abort in a model's header, before llama.cpp reads it.
//!
//! May know: the header of a file. Never knows: the weights. Other faults are found by trying the model in a child
//! process (`trial`).

use std::collections::HashSet;
use std::path::Path;

use beast_launchd::file;
use beast_launchd::gguf::{self, Damage, Head, Value};

use super::error::LoadError;

/// llama.cpp's own limit, `LLAMA_MAX_LAYERS`.
const MAX_LAYERS: i128 = 512;
/// One prompt token and one token of an answer. llama.cpp counts in 31 bits.
const CONTEXT: std::ops::RangeInclusive<i128> = 2..=0x7fff_ffff;
const TOKENS: &str = "tokenizer.ggml.tokens";
const EPSILONS: [&str; 3] =
    ["attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon", "attention.group_norm_epsilon"];

/// Rejects a file that is not a model, is truncated, or has an impossible header.
///
/// # Errors
/// [`LoadError::File`], [`LoadError::NotGguf`], [`LoadError::Refused`], [`LoadError::Unusable`].
pub(super) fn check(path: &Path) -> Result<(), LoadError> {
    let file_error = |source| LoadError::File { path: path.to_owned(), source };
    let unusable = |reason| LoadError::Unusable { path: path.to_owned(), reason };
    let file = file::open(path).map_err(file_error)?;
    let len = file.metadata().map_err(file_error)?.len();
    let head = gguf::read(file, len, &[TOKENS]).map_err(|damage| match damage {
        Damage::Magic => LoadError::NotGguf { path: path.to_owned() },
        Damage::Io(source) => file_error(source),
        Damage::Cut(_) | Damage::Headless => LoadError::Refused { path: path.to_owned() },
        Damage::Garbled => unusable("its header is invalid".to_owned()),
    })?;
    // An unknown format version is for llama.cpp to reject.
    head.map_or(Ok(()), |head| plausible(&head).map_err(unusable))
}

fn plausible(head: &Head) -> Result<(), String> {
    let Some(architecture) = head.text("general.architecture") else { return Ok(()) };
    let of_architecture = |key: &str| (format!("{architecture}.{key}"), head.get(&format!("{architecture}.{key}")));
    if let (key, Some(Value::Integer(n))) = of_architecture("block_count")
        && !(1..=MAX_LAYERS).contains(n)
    {
        return Err(format!("{key} is {n}; it must be 1 to {MAX_LAYERS}"));
    }
    if let (key, Some(Value::Integer(n))) = of_architecture("context_length")
        && !CONTEXT.contains(n)
    {
        return Err(format!("{key} is {n}; it must be {} to {}", CONTEXT.start(), CONTEXT.end()));
    }
    for key in EPSILONS {
        if let (key, Some(Value::Float(n))) = of_architecture(key)
            && !(n.is_finite() && *n > 0.0)
        {
            return Err(format!("{key} is {n}; it must be above 0"));
        }
    }
    vocabulary(head)
}

fn vocabulary(head: &Head) -> Result<(), String> {
    let kind = head.text("tokenizer.ggml.model").unwrap_or_default();
    if matches!(kind, "no_vocab" | "none") {
        return Err("it has no vocabulary".to_owned());
    }
    let Some(Value::Texts(tokens)) = head.get(TOKENS) else { return Ok(()) };
    if tokens.is_empty() {
        return Err("its vocabulary is empty".to_owned());
    }
    let mut known = HashSet::with_capacity(tokens.len());
    if let Some(twice) = tokens.iter().find(|token| !known.insert(token.as_slice())) {
        return Err(format!("its vocabulary has the token {:?} twice", String::from_utf8_lossy(twice)));
    }
    // SentencePiece encodes text without tokens of its own as bytes.
    let has_byte = |byte: u8| known.contains(format!("<0x{byte:02X}>").as_bytes()) || known.contains(&[byte][..]);
    match (0..=u8::MAX).find(|byte| kind == "llama" && !has_byte(*byte)) {
        Some(byte) => Err(format!("its vocabulary has no token for the byte 0x{byte:02X}")),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
