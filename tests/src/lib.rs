//! The harness: the real `beastd` and `beastctl`, each test in a home of its own.
//!
//! It knows the programs as files and the protocol as a crate, and never their internals, so that the tests cover
//! what users run. Only [`eventually`] sleeps; everything else waits for events.

mod beast;
mod client;
pub mod damage;
pub mod dice;
pub mod fuzz;
pub mod gguf;
pub mod grammars;
mod home;
pub mod http_client;
mod program;
pub mod samples;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use beast::Beast;
pub use client::{Answer, Client};
pub use home::{Gate, Home};
pub use program::{Output, Running, run};

/// Time limit for anything that takes milliseconds on an idle machine, and may take seconds on a busy one.
const LIMIT: Duration = Duration::from_secs(20);
/// Time limit for a whole program or answer.
pub const LONG_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// Waits until the condition holds.
///
/// # Panics
/// When it does not within 20 seconds.
#[track_caller]
pub fn eventually(condition: impl FnMut() -> bool) {
    assert!(holds_within(LIMIT, condition), "this did not happen within {LIMIT:?}");
}

/// Whether the condition holds within the time limit.
pub fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !condition() {
        if began.elapsed() > limit {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}

/// A file or folder of the project.
pub fn project(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the project").join(path)
}

/// Another maker's model, which `.ci/foreign-model` downloads. Without it, prints that the test is skipped.
pub fn foreign_model() -> Option<PathBuf> {
    let path = project("target/models/SmolLM2-135M-Instruct.Q4_1.gguf");
    if path.is_file() {
        return Some(path);
    }
    skip("no foreign model; get it with: .ci/foreign-model");
    None
}

/// Prints that this test is skipped and why, bypassing the test runner's capture.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    // Written directly, because the output of macros is shown only for failed tests. A closed stderr does not matter.
    let _ = writeln!(std::io::stderr(), "skipped: {}: {reason}", thread.name().unwrap_or("a test"));
}
