//! Unpredictable ids of answers and requests.

use hyper::header::{HeaderName, HeaderValue};

use super::body::Reply;

/// `n` random letters and digits.
pub(crate) fn random_id(n: usize) -> String {
    use std::hash::{BuildHasher, RandomState};
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    // A new random key for each character, so that no client can predict another one's id.
    let letter = |at: usize| {
        let hash = RandomState::new().hash_one(at) % LETTERS.len() as u64;
        char::from(LETTERS[usize::try_from(hash).expect("it is small")])
    };
    (0..n).map(letter).collect()
}

/// Identifies a request in its response and its errors.
pub(crate) fn request_id() -> String {
    format!("req_{}", random_id(24))
}

/// Adds the request id as a header.
pub(crate) fn name_request(reply: &mut Reply, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        reply.headers_mut().entry(HeaderName::from_static("request-id")).or_insert(id);
    }
}
