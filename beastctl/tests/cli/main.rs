//! The real beastctl against a fake daemon.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod alfred;
mod answers;
mod bench;
mod calibrate;
mod ends;
mod failures;
mod harness;
mod hook;
mod inputs;
mod integrations;
mod starting;
mod verbs;
