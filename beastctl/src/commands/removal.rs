//! Asks for confirmation before removing something irretrievably.

use std::io::{self, BufRead as _};

use crate::{
    exit::{self, Failing, Result},
    input,
    output::Console,
};

#[derive(Debug, thiserror::Error)]
#[error("nothing removed: {0}")]
pub struct NotRemoved(pub &'static str);

impl Failing for NotRemoved {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }

    fn hint(&self) -> Option<String> {
        Some("-y".into())
    }
}

/// Asks the user whether these things may be removed.
pub(super) fn confirm(console: Console, what: &str) -> Result<()> {
    if !input::stdin_is_terminal() {
        return Err(NotRemoved("cannot ask for confirmation without a terminal").into());
    }
    console.lines(&format!("Remove {what}? [y/N] "));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(NotRemoved("the answer was no").into()),
    }
}
