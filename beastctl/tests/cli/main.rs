//! The real beastctl against a fake daemon.

// A helper that panics fails its test, as it should.
#![allow(clippy::unwrap_used)]

mod alfred;
mod answers;
mod bench;
mod calibrate;
mod chat;
mod chat_pipe;
mod completions;
mod conversations;
mod counting;
mod decide;
mod doctor;
mod editing;
mod embed;
mod ends;
mod failures;
mod forms;
mod harness;
mod hook;
mod hostile;
mod inputs;
mod integrations;
mod keys;
mod logs;
mod manual;
mod map;
mod messages;
mod mistakes;
mod models;
mod named_files;
mod other_prompts;
mod other_version;
mod pipelines;
mod prompts;
mod pull;
mod pulled_before;
mod screen;
mod searching;
#[cfg(target_os = "linux")]
mod service;
#[cfg(target_os = "linux")]
mod service_failures;
#[cfg(target_os = "linux")]
mod service_packaged;
mod slips;
mod starting;
mod structured;
mod tab;
mod terminal;
mod tools;
mod typing;
mod verbs;
mod ways;
mod web;
