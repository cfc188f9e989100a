//! Input lines from a terminal, with editing and history.

use std::{
    env,
    fs::DirBuilder,
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use rustyline::{Behavior, Config, Editor, error::ReadlineError, history::FileHistory};

use super::pipe::Lines;
use crate::{
    exit::{self, During as _, Failing, Result},
    input::InputError,
    output::Console,
    wait::{Wait, WaitError},
};

const MARK: &str = "> ";
/// Prompt for the further lines of a question.
const MORE_MARK: &str = ". ";
/// Most lines to keep for recall.
const MAX_LINES: usize = 1000;
/// A longer line was pasted, and need not be recalled.
const MAX_RECALLED: usize = 16 * 1024;
/// Values of `TERM` for which the editor can neither move the cursor nor read keys.
const WITHOUT_EDITOR: [&str; 3] = ["dumb", "cons25", "emacs"];

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    Line(String),
    Interrupt,
    End,
}

pub(super) struct Keyboard {
    editor: Editor<(), FileHistory>,
    /// Used on a terminal without an editor: whole lines, on which Ctrl-C is a signal and not a key.
    plain: Option<Lines>,
    /// The file with lines to recall; `None` keeps them only in memory.
    file: Option<PathBuf>,
}

impl Keyboard {
    /// `file` holds the lines of earlier chats; with `is_kept`, those of this one are added.
    pub(super) fn new(file: Option<PathBuf>, is_kept: bool, console: Console) -> Result<Self> {
        let place = if console.stdout_is_terminal { Behavior::Stdio } else { Behavior::PreferTerm };
        let config = Config::builder().max_history_size(MAX_LINES).context("cannot start the line editor")?;
        let config = config.behavior(place).history_ignore_space(true).build();
        let mut editor = Editor::with_config(config).context("cannot start the line editor")?;
        let plain = is_without_editor().then(Lines::default);
        let mut keyboard = match file.as_ref().map(|file| editor.load_history(file)) {
            Some(Err(error)) if !is_missing(&error) => {
                console.warning(&format!("cannot read the input history: {error}"));
                Self { editor, plain, file: None }
            }
            _ => Self { editor, plain, file },
        };
        if !is_kept {
            keyboard.file = None;
        }
        Ok(keyboard)
    }

    /// Reads the next line; `is_more` if it continues the one before.
    pub(super) fn line(&mut self, is_more: bool, wait: &Wait, console: Console) -> Result<Key> {
        let mark = if is_more { MORE_MARK } else { MARK };
        if let Some(lines) = &mut self.plain {
            return plain_line(lines, mark, wait, console);
        }
        loop {
            return match self.editor.readline(mark) {
                Ok(line) => Ok(Key::Line(line)),
                Err(ReadlineError::Eof) => Ok(Key::End),
                Err(ReadlineError::Interrupted) => Ok(Key::Interrupt),
                // The editor cannot continue with this line, nor with input that arrived together with it.
                Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
                    console.warning("the input was not UTF-8 and was discarded; type it again");
                    continue;
                }
                // The terminal is gone: it was closed, or another program took it over.
                Err(error) => Err(error).context("cannot read from the terminal"),
            };
        }
    }

    /// Saves a question for recall. The first failure is reported and stops further attempts.
    pub(super) fn keep(&mut self, text: &str, console: Console) {
        if text.len() > MAX_RECALLED || !self.editor.add_history_entry(text).unwrap_or(false) {
            return;
        }
        if let Some(file) = &self.file
            && let Err(error) = prepare(file).map_err(ReadlineError::Io).and_then(|()| self.editor.append_history(file))
        {
            console.warning(&format!("the input history is not saved: cannot write {}: {error}", file.display()));
            self.file = None;
        }
    }
}

/// Errors of a terminal that line editing cannot handle.
impl Failing for ReadlineError {
    fn exit_code(&self) -> u8 {
        exit::FAILED
    }

    fn hint(&self) -> Option<String> {
        Some("TERM=dumb beastctl chat, to run without the line editor".into())
    }
}

fn plain_line(lines: &mut Lines, mark: &str, wait: &Wait, console: Console) -> Result<Key> {
    loop {
        console.lines(mark);
        let error = match lines.next(wait, console) {
            Ok(line) => return Ok(line.map_or(Key::End, Key::Line)),
            Err(error) => error,
        };
        if matches!(error.find(), Some(WaitError::Interrupted)) {
            // The next prompt goes on a line of its own.
            console.lines("\n");
            *lines = Lines::default();
            return Ok(Key::Interrupt);
        }
        if !matches!(error.find(), Some(InputError::Binary { .. })) {
            return Err(error);
        }
        console.warning(&format!("{error}; discarded it"));
    }
}

fn is_without_editor() -> bool {
    let term = env::var_os("TERM").unwrap_or_default();
    WITHOUT_EDITOR.iter().any(|name| term.eq_ignore_ascii_case(name))
}

fn is_missing(error: &ReadlineError) -> bool {
    matches!(error, ReadlineError::Io(error) if error.kind() == ErrorKind::NotFound)
}

fn prepare(file: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(file.parent().unwrap_or(file))
}
