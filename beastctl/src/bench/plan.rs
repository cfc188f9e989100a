//! A table of `beastctl bench`: its name, and how it is measured.

use super::lab::Lab;
use crate::{exit::Result, output::tables::Table};

pub(super) struct Plan {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// Approximate duration, relative to the other tables.
    pub(super) weight: f64,
    pub(super) measure: fn(&mut Lab<'_>) -> Result<Table>,
}
