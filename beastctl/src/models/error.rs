//! Why a model cannot be downloaded, found or selected.

use std::{path::PathBuf, time::Duration};

use crate::{
    exit::{self, Failing, FileError},
    output::units::bytes,
    text::quoted,
    wait::WaitError,
};

#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Ctrl-C or the time limit.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// An error of the file system.
    #[error(transparent)]
    File(#[from] FileError),
    /// Neither a name in the catalogue nor a URL, repository or path.
    #[error("unknown model {word}")]
    Unknown { word: String, nearest: Option<String> },
    #[error("{0} is not on disk")]
    NotHere(String),
    /// What only a model on disk can do.
    #[error("another server computes {name} ({url}), so it cannot be {done} here")]
    Upstream { name: String, url: String, done: &'static str },
    /// The repository has no such file, or several.
    #[error("{repo} has {} GGUF file for {wanted}", if *.n_found == 0 { "no" } else { "more than one" })]
    Choice {
        /// `ORG/NAME`.
        repo: String,
        /// The requested quantization.
        wanted: String,
        n_found: usize,
        /// The available files, as they can be typed.
        there: Vec<String>,
    },
    /// Split into several files, which are useless on their own.
    #[error("{0} is part of a split model, which beast does not support")]
    Split(String),
    #[error("{0} is not on disk, and --offline forbids downloads")]
    Offline(String),
    /// Status 401 or 403.
    #[error("the server denies access to {url} ({status})")]
    Denied {
        status: u16,
        url: String,
        /// The page on which its licence can be accepted.
        page: Option<String>,
        /// Whether `HF_TOKEN` was sent.
        had_token: bool,
    },
    #[error("{0} not found (404)")]
    Missing(String),
    /// Any other status that retrying would not change.
    #[error("the server returned {status} for {url}")]
    Status { status: u16, url: String },
    #[error("cannot reach {url} ({reason})")]
    Unreachable { url: String, reason: String },
    /// A server answered, but with endless redirects or the like.
    #[error("the server of {url} redirects in a loop or to an invalid URL ({reason})")]
    Misled { url: String, reason: String },
    #[error("gave up on {url} after {n_tries} tries without a new byte ({reason})")]
    GaveUp { url: String, reason: String, n_tries: u32, n_kept: u64 },
    /// Status 429, or 503 with a long `Retry-After`.
    #[error("the server of {url} is rate limiting: retry after {}", humantime::format_duration(*.pause))]
    TooManyRequests { url: String, pause: Duration },
    #[error("the server does not report the size of {0}")]
    NoLength(String),
    #[error("cannot parse the list of files at {0}")]
    Listing(String),
    #[error("{name} has the wrong SHA-256: {found}, expected {wanted}; it was deleted")]
    WrongHash { name: String, found: String, wanted: String },
    /// The same for a file that another program keeps.
    #[error("{} has the wrong SHA-256: {found}, expected {wanted}", .path.display())]
    OtherHash { path: PathBuf, found: String, wanted: String },
    /// Usually a web page.
    #[error("{0} is not a GGUF file")]
    NotGguf(String),
    /// Usually left behind by another program's download.
    #[error("{} is truncated: it {}", .path.display(), truncated(*.n_bytes, *.needed))]
    Cut {
        path: PathBuf,
        n_bytes: u64,
        /// The full size; `None` if even its header is truncated.
        needed: Option<u64>,
    },
    /// It begins like a model, but is none.
    #[error("{} is damaged: its header is invalid", .0.display())]
    Garbled(PathBuf),
    #[error("{name} needs {}, but only {} is free in {}", bytes(*.needed), bytes(*.free), .folder.display())]
    NoRoom {
        name: String,
        /// Bytes still missing.
        needed: u64,
        /// Bytes that an ordinary user may still write.
        free: u64,
        folder: PathBuf,
    },
    #[error("{0} is in use by another beastctl")]
    Locked(String),
    #[error("{} already exists and came from a different source", .0.display())]
    Taken(PathBuf),
    /// A folder is in place of the file.
    #[error("{} is a folder", .0.display())]
    Folder(PathBuf),
    /// An invalid option.
    #[error("{what}")]
    Usage { what: String, hint: String },
    #[error("{0} is in use")]
    InUse(String),
    /// The configuration is not valid TOML.
    #[error("{}: {message}", .path.display())]
    Config { path: PathBuf, message: String },
}

fn truncated(n_bytes: u64, needed: Option<u64>) -> String {
    match needed {
        Some(needed) => format!("has {n_bytes} bytes and needs at least {needed}"),
        None => format!("ends inside the header, after {n_bytes} bytes"),
    }
}

impl Failing for ModelError {
    fn exit_code(&self) -> u8 {
        match self {
            ModelError::Wait(error) => error.exit_code(),
            ModelError::Unknown { .. }
            | ModelError::Choice { .. }
            | ModelError::Split(_)
            | ModelError::Taken(_)
            | ModelError::Folder(_)
            | ModelError::Usage { .. }
            | ModelError::Upstream { .. }
            | ModelError::InUse(_) => exit::USAGE,
            ModelError::Locked(_) | ModelError::TooManyRequests { .. } => exit::BUSY,
            _ => exit::FAILED,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            ModelError::Wait(error) => return error.hint(),
            ModelError::File(error) => return error.hint(),
            ModelError::Unknown { nearest: Some(nearest), .. } => nearest.clone(),
            ModelError::Unknown { .. } => {
                "use a name from beastctl models list, ORG/REPO:QUANT, a URL or the path of a GGUF file".into()
            }
            ModelError::NotHere(name) => format!("beastctl models pull {}", quoted(name)),
            ModelError::Upstream { name, .. } => {
                format!("pass -m {}, or change [upstream.{name}] in config.toml", quoted(name))
            }
            ModelError::Choice { there, .. } if there.is_empty() => {
                "use another repository: this one has no GGUF files".into()
            }
            ModelError::Choice { there, .. } => there.join(", "),
            ModelError::Split(_) => "use a smaller quantization in a single file".into(),
            ModelError::Offline(_) => "leave out --offline, or beastctl models list".into(),
            ModelError::Denied { page: Some(page), had_token: false, .. } => {
                format!("export HF_TOKEN=..., after accepting the licence at {page}")
            }
            ModelError::Denied { page: Some(page), .. } => {
                format!("accept the licence at {page} with the account of HF_TOKEN")
            }
            ModelError::Denied { .. } => "use another URL: only the hub gets HF_TOKEN".into(),
            ModelError::Missing(_) => "beastctl models list, or open the URL in a browser".into(),
            ModelError::Status { .. } | ModelError::Misled { .. } => "open the URL in a browser".into(),
            ModelError::Unreachable { .. } => {
                "check the network, and HTTPS_PROXY if there is a proxy, then repeat the command".into()
            }
            ModelError::GaveUp { n_kept: 0, .. } => "repeat the command later".into(),
            ModelError::GaveUp { n_kept, .. } => {
                format!("repeat the command later, which resumes after {}", bytes(*n_kept))
            }
            ModelError::TooManyRequests { .. } => "repeat the command then".into(),
            ModelError::NoLength(_) => "pass --sha256 HEX to verify that it is complete".into(),
            ModelError::Listing(_) => "use ORG/REPO/FILE.gguf, or another HF_ENDPOINT".into(),
            ModelError::WrongHash { .. } => "repeat the command; use another source if it happens twice".into(),
            ModelError::OtherHash { .. } => "get another copy of the file, or check it with sha256sum".into(),
            ModelError::Cut { path, .. } | ModelError::Garbled(path) => {
                format!("rm {}, and pull the model again", quoted(&path.display().to_string()))
            }
            ModelError::NotGguf(_) => "use the GGUF file itself, not a web page or an archive".into(),
            ModelError::NoRoom { .. } => "free space with beastctl models rm, or use a smaller model".into(),
            ModelError::Locked(_) => "repeat the command when it is done".into(),
            ModelError::Taken(_) => "pass --name OTHER.gguf, or beastctl models rm first".into(),
            ModelError::Folder(_) => "pass --name OTHER.gguf, or move it away".into(),
            ModelError::Usage { hint, .. } => hint.clone(),
            ModelError::InUse(_) => "switch with beastctl models use first, or pass --force".into(),
            ModelError::Config { .. } => "fix that line".into(),
        })
    }

    fn passed_on(&self) -> Option<&dyn Failing> {
        if let ModelError::Wait(error) = self { Some(error) } else { None }
    }
}
