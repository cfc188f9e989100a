//! Names of answers and requests, which nobody can guess.

use hyper::header::{HeaderName, HeaderValue};

use super::body::Reply;

/// This many random letters and digits.
pub(crate) fn random_id(n: usize) -> String {
    use std::hash::{BuildHasher, RandomState};
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    // Keyed anew for each character: nobody guesses another client's id.
    let letter = |at: usize| {
        let hash = RandomState::new().hash_one(at) % LETTERS.len() as u64;
        char::from(LETTERS[usize::try_from(hash).expect("it is small")])
    };
    (0..n).map(letter).collect()
}

/// By which a request is named in its answer and its errors.
pub(crate) fn request_id() -> String {
    format!("req_{}", random_id(24))
}

/// Adds the header that carries it.
pub(crate) fn name_request(reply: &mut Reply, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        reply.headers_mut().entry(HeaderName::from_static("request-id")).or_insert(id);
    }
}
