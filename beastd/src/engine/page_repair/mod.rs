//! Moves a mapped model file from small pages into 2 MiB pages while the model is idle, if another program had read it
//! into small ones (`read_ahead.rs` says what they cost).
//!
//! The page cache keeps a page as long as it is mapped. So each 2 MiB piece of the mapping is replaced by a private
//! copy, dropped from the page cache, read into a large page, and mapped again. Each replacement is a single system
//! call: threads that read the weights meanwhile always find the same bytes.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(super) use linux::Repair;
#[cfg(not(target_os = "linux"))]
pub(super) use other::Repair;
