//! `beastctl`, the thin client of beastd, as a library so that its tests can reach the rooms.
//!
//! A run is: read the input ([`input`], [`prompts`]), reach the daemon ([`start`], [`client`]), print what comes
//! ([`output`]), keep it ([`conversations`]), leave with a code that means something ([`exit`]). There is no runtime:
//! the client blocks, and all of its blocking is in [`wait`].

pub mod cli;
pub mod client;
pub mod commands;
pub mod constraint;
pub mod conversations;
mod escapes;
pub mod exit;
pub mod git;
pub mod input;
pub mod models;
pub mod numbers;
pub mod output;
pub mod program;
pub mod prompts;
pub mod start;
pub mod text;
pub mod wait;
