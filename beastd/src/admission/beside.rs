//! Admission off the sockets' thread, a few requests at once.

use std::sync::Arc;

use beast_protocol::{ErrorCode, Generate, Notice, WireError};
use tokio::sync::Semaphore;

use super::Admission;
use crate::admitted::Admitted;
use crate::large_stack;

/// [`Admission::admit`] on its own thread, once `permits` has a permit.
///
/// # Errors
/// Those of [`Admission::admit`].
pub async fn admit_beside(
    admission: &Arc<Admission>,
    permits: &Semaphore,
    request: &Arc<Generate>,
) -> Result<(Admitted, Vec<Notice>), WireError> {
    let request = Arc::clone(request);
    beside(admission, permits, move |admission| admission.admit(&request)).await
}

/// Any work of admission on its own thread, once `permits` has a permit.
///
/// # Errors
/// Those of `work`, and [`ErrorCode::Internal`] if it panics or no thread can start.
pub async fn beside<T: Send + 'static>(
    admission: &Arc<Admission>,
    permits: &Semaphore,
    work: impl FnOnce(&Admission) -> Result<T, WireError> + Send + 'static,
) -> Result<T, WireError> {
    let _permit = permits.acquire().await.expect("the semaphore is never closed");
    let admission = Arc::clone(admission);
    // That thread has the large stack that chat templates need.
    large_stack::beside(move || work(&admission)).await.unwrap_or_else(|why| {
        let advice = match why.as_str() {
            large_stack::NO_MEMORY => "close other programs, or raise beastd's address space limit (ulimit -v)",
            _ => "repeat the request, and see beastctl logs for the reason",
        };
        Err(WireError::new(ErrorCode::Internal, format!("cannot prepare the prompt: {why}; try: {advice}")))
    })
}
