//! A request as its handler gets it.

use hyper::header::HeaderMap;
use serde_json::{Map, Value};

use super::client::Client;

/// A request whose sender may ask.
pub(crate) struct Asked {
    pub(crate) client: Client,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// Empty for a method without one.
    pub(crate) body: Map<String, Value>,
}
