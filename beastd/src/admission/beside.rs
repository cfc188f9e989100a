//! Admission that may take its time: beside the thread of the sockets, a few at once.

use std::sync::Arc;

use beast_protocol::{ErrorCode, Generate, Notice, WireError};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::Admission;
use crate::admitted::Admitted;

/// [`Admission::admit`] on a thread of its own, once `permits` has one to spare.
///
/// # Errors
/// Those of [`Admission::admit`].
pub async fn admit_beside(
    admission: &Arc<Admission>,
    permits: &Semaphore,
    request: &Arc<Generate>,
) -> Result<(Admitted, Vec<Notice>), WireError> {
    let _permit = permits.acquire().await.expect("it is never closed");
    let (admission, request) = (Arc::clone(admission), Arc::clone(request));
    let admitting = spawn_blocking(move || admission.admit(&request));
    admitting.await.unwrap_or_else(|error| {
        Err(WireError::new(
            ErrorCode::Internal,
            format!("the prompt could not be read: {error}; try: the same again, and the log of beastd for the reason"),
        ))
    })
}
