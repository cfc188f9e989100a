//! Threads with a large stack, for recursive work: chat templates. Knows no tasks.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use tokio::sync::oneshot;

/// Ordinary threads have 2 MiB. Memory is committed only when used.
const SIZE: usize = 256 << 20;
const PANICKED: &str = "its thread panicked";
/// The error when the address space is limited.
pub const NO_MEMORY: &str = "not enough memory for a thread with a 256 MiB stack";

thread_local! {
    static IS_LARGE: Cell<bool> = const { Cell::new(false) };
}

/// Runs a task on a thread with a large stack, the current one if it has such a stack, and waits.
///
/// # Errors
/// When the thread cannot start, or the task panics.
pub fn run<T: Send>(task: impl FnOnce() -> T + Send) -> Result<T, String> {
    if IS_LARGE.get() {
        return guarded(task);
    }
    thread::scope(|scope| {
        let thread = builder().spawn_scoped(scope, || on_large(task)).map_err(|error| not_started(&error))?;
        thread.join().unwrap_or_else(|_| Err(PANICKED.into()))
    })
}

/// The same for callers that must not block, such as the sockets' thread. The task completes even if the future is
/// dropped.
///
/// # Errors
/// As [`run`].
pub async fn beside<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (tell, told) = oneshot::channel();
    // Fails if the future was dropped.
    let thread = builder().spawn(move || drop(tell.send(on_large(task))));
    thread.map_err(|error| not_started(&error))?;
    told.await.unwrap_or_else(|_| Err(PANICKED.into()))
}

fn builder() -> thread::Builder {
    thread::Builder::new().name("large-stack".into()).stack_size(SIZE)
}

fn on_large<T>(task: impl FnOnce() -> T) -> Result<T, String> {
    IS_LARGE.set(true);
    guarded(task)
}

fn guarded<T>(task: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(task)).map_err(|_| PANICKED.into())
}

fn not_started(error: &io::Error) -> String {
    // `WouldBlock` is the system's error when the stack cannot be mapped.
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::OutOfMemory => NO_MEMORY.into(),
        _ => format!("cannot start a thread: {error}"),
    }
}

#[cfg(test)]
#[path = "large_stack_tests.rs"]
mod tests;
