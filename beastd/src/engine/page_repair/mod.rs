//! Moves a mapped model into 2 MiB pages while nothing computes, if another program had read the file into small ones
//! (`read_ahead.rs` says what they cost). Reading a file again changes nothing as long as its pages are cached and
//! mapped, so one piece after the other is replaced by a copy, dropped from the cache, read into a large page, and
//! mapped again. Each replacement is one system call, so that whoever reads the weights meanwhile finds the same bytes.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(super) use linux::Repair;
#[cfg(not(target_os = "linux"))]
pub(super) use other::Repair;
