//! A request as handlers receive it.

use hyper::header::HeaderMap;
use serde_json::{Map, Value};

use super::client::Client;

/// A request that has passed the guard.
pub(crate) struct Asked {
    pub(crate) client: Client,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// Empty for methods without a body.
    pub(crate) body: Map<String, Value>,
}
