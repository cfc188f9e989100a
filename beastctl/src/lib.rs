//! `beastctl`, the thin client of beastd, as a library so that tests can reach its rooms.
//!
//! A run reads the input ([`input`], [`prompts`]), reaches the daemon ([`start`], [`client`]), prints the answer
//! ([`output`]), saves it ([`conversations`]), and exits with a fixed code ([`exit`]). There is no runtime: the client
//! blocks, and only in [`wait`].

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
mod editor;
mod embed;
mod escapes;
mod exchange;
pub mod exit;
pub mod git;
mod hook;
pub mod input;
mod logs;
mod machine;
pub mod man;
mod map;
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
