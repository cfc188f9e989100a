//! A handler's view of its connection.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::guard::Via;
use super::resumable::streams::Streams;
use super::wire::Line;
use crate::shared::Shared;

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) via: Via,
    pub(crate) line: Line,
    pub(crate) streams: Arc<Streams>,
    /// Whether a request was refused whose body the client may still be sending.
    pub(crate) has_unread: Arc<AtomicBool>,
}
