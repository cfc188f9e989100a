//! Whether a stream gets colours and styles: by flag, environment and terminal, in this order.

use std::{env, ffi::OsString};

use clap::ValueEnum;

/// When something is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    // An empty variable counts as unset.
    #[value(alias = "")]
    Auto,
    /// Also into files and pipes.
    Always,
    /// Never.
    Never,
}

/// Whether output on a stream may be styled.
pub(super) fn is_styled(choice: Option<ColorChoice>, is_terminal: bool) -> bool {
    decide(choice, is_terminal, |name| env::var_os(name))
}

/// `NO_COLOR` and `CLICOLOR_FORCE` as defined by no-color.org and bixense.com/clicolors: an empty variable counts as
/// unset, `0` forces nothing.
fn decide(choice: Option<ColorChoice>, is_terminal: bool, var: impl Fn(&str) -> Option<OsString>) -> bool {
    let is_set = |name: &str| var(name).is_some_and(|value| !value.is_empty());
    match choice.unwrap_or_default() {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if is_set("NO_COLOR") => false,
        ColorChoice::Auto if is_set("CLICOLOR_FORCE") && var("CLICOLOR_FORCE").is_none_or(|value| value != "0") => true,
        ColorChoice::Auto => is_terminal && var("TERM").is_none_or(|term| term != "dumb"),
    }
}

#[cfg(test)]
#[path = "colour_tests.rs"]
mod tests;
