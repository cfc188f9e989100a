//! Whether a request fits into a server's context, and what to drop if not. Tokens are estimated where the server does
//! not count them.

use std::ops::Range;

use beast_protocol::{ErrorCode, Generate, Notice, NoticeKind, Overflow, Place, WireError};

/// Bytes of a token, on the low side: an estimate should rather be too high.
const BYTES_PER_TOKEN: usize = 3;
/// Tokens that a chat template adds to each message.
const OF_A_MESSAGE: usize = 8;

/// Tokens of a text, by its length.
pub(super) fn estimate(n_bytes: usize) -> usize {
    n_bytes.div_ceil(BYTES_PER_TOKEN)
}

/// Tokens of a prompt, by its length. Input that may be shortened or divided should rather count too high; other input
/// is the server's to judge.
pub(super) fn n_prompt(request: &Generate) -> usize {
    if request.overflow != Overflow::Refuse {
        return careful_n_prompt(request);
    }
    let n_bytes: usize = request.messages.iter().map(|message| message.content.len() + 1).sum();
    estimate(n_bytes) + OF_A_MESSAGE * request.messages.len()
}

/// Tokens of a prompt at the most.
pub(super) fn careful_n_prompt(request: &Generate) -> usize {
    request.messages.iter().map(|message| careful_estimate(&message.content) + OF_A_MESSAGE).sum()
}

/// Tokens of a text at the most, for parts that have to fit: digits and signs are often tokens of their own, letters
/// of other scripts may be several.
pub(super) fn careful_estimate(text: &str) -> usize {
    let sixths = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b' ' => 2,
        0x80.. => 3,
        _ => 6,
    };
    text.bytes().map(sixths).sum::<usize>().div_ceil(6)
}

/// Refuses a prompt that does not fit. Input that may be shortened or divided leaves a quarter of the context for the
/// answer, unless the request sets a lower limit.
///
/// # Errors
/// [`ErrorCode::TooLong`], with both sizes.
pub(super) fn check(request: &Generate, n_prompt: usize, context: Option<u32>, name: &str) -> Result<(), WireError> {
    let Some(n_ctx) = context.map(|n| n as usize).filter(|&n_ctx| n_prompt + n_answer(request, n_ctx) > n_ctx) else {
        return Ok(());
    };
    let text = format!(
        "the prompt has about {n_prompt} tokens, and upstream {name} has a context of {n_ctx}, prompt and answer \
         together; try: shorten the input, or pass --truncate"
    );
    Err(WireError::new(ErrorCode::TooLong, text).with_sizes(n_prompt, n_ctx))
}

/// Tokens to keep free for the answer.
fn n_answer(request: &Generate, n_ctx: usize) -> usize {
    match request.overflow {
        Overflow::Refuse => 1,
        _ => (n_ctx / 4).min(request.max_tokens.map_or(usize::MAX, |n| n as usize)).max(1),
    }
}

/// Makes a request fit: unchanged, or truncated as it allows, with a notice.
///
/// # Errors
/// [`ErrorCode::TooLong`], with both sizes.
pub(super) fn fit(
    request: &mut Generate,
    n_prompt: usize,
    context: Option<u32>,
    name: &str,
) -> Result<Option<Notice>, WireError> {
    let Err(too_long) = check(request, n_prompt, context, name) else { return Ok(None) };
    let Overflow::Truncate { material, drop } = request.overflow.clone() else { return Err(too_long) };
    let n_ctx = context.map_or(usize::MAX, |n| n as usize);
    let n_excess = n_prompt + n_answer(request, n_ctx) - n_ctx;
    let n_bytes: usize = request.messages.iter().map(|message| message.content.len()).sum();
    let Some(message) = request.messages.last_mut() else { return Err(too_long) };
    let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let Some(long) = message.content.get(at(material.start)..at(material.end)) else { return Err(too_long) };
    // Its share of the tokens, and what may stay of it: less by an eighth, because tokens are not equally long.
    let n_tokens = (n_prompt * long.len() / n_bytes.max(1)).max(1);
    let n_kept = long.len() * n_tokens.saturating_sub(n_excess) / n_tokens * 7 / 8;
    let dropped = dropped(long, long.len() - n_kept, drop);
    if dropped.len() == long.len() {
        return Err(too_long);
    }
    let percent = dropped.len() * 100 / long.len();
    let start = at(material.start);
    message.content.replace_range(start + dropped.start..start + dropped.end, "");
    let part = match drop {
        Place::Head => "head",
        Place::Middle => "middle",
        Place::Tail => "tail",
    };
    let text = format!("{percent} % of the input, at its {part}, was dropped to fit the context of {n_ctx} tokens");
    Ok(Some(Notice { kind: NoticeKind::Warning, text }))
}

/// The bytes to drop of a text: at least `n`, and all of it if it has no more.
fn dropped(text: &str, n: usize, place: Place) -> Range<usize> {
    let len = text.len();
    let n = n.min(len);
    let start = match place {
        Place::Head => 0,
        Place::Middle => (len - n) / 2,
        Place::Tail => len - n,
    };
    text.floor_char_boundary(start)..text.ceil_char_boundary(start + n)
}

#[cfg(test)]
#[path = "sizes_tests.rs"]
mod tests;
