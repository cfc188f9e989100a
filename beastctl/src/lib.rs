//! `beastctl`, the thin client of beastd, as a library so that its tests can reach the rooms.
//!
//! A run is: read the input ([`input`], [`prompts`]), reach the daemon ([`start`], [`client`]), print what comes
//! ([`output`]), keep it ([`conversations`]), leave with a code that means something ([`exit`]). There is no runtime:
//! the client blocks, and all of its blocking is in [`wait`].

mod alfred;
mod bench;
mod chat;
pub mod cli;
pub mod client;
pub mod commands;
pub mod completions;
pub mod constraint;
mod context;
pub mod conversations;
mod decide;
mod doctor;
mod escapes;
pub mod exit;
pub mod git;
mod hook;
pub mod input;
mod logs;
pub mod man;
pub mod models;
pub mod numbers;
pub mod output;
pub mod program;
pub mod prompts;
mod service;
mod settings;
pub mod start;
pub mod stop;
pub mod text;
mod turn;
pub mod wait;
