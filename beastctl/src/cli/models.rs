//! `models`: its commands.

use clap::{Args, Subcommand};
use clap_complete::{ArgValueCandidates, ArgValueCompleter};

use super::completers;

/// Commands for models.
#[derive(Debug, Subcommand)]
pub enum ModelsAction {
    /// List named models and those on disk; the default.
    List {
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Download a model and print its path; resumes interrupted downloads.
    #[command(after_help = "\
Verifies the SHA-256 if it is known: from the hub, or from --sha256 for other URLs.
HF_TOKEN gives access to gated repositories, HF_ENDPOINT sets a mirror, HTTPS_PROXY and NO_PROXY set proxies.

Examples:
  beastctl models pull lfm2-2.6b
  beastctl models pull LiquidAI/LFM2-1.2B-GGUF:Q4_K_M
  beastctl models pull https://example.org/model.gguf --sha256 HEX")]
    Pull(PullOptions),
    /// Remove a model from disk.
    #[command(after_help = "Examples:\n  beastctl models rm lfm2.5-350m\n  beastctl models rm -y old-model.gguf")]
    Rm {
        /// Names of models.
        #[arg(value_name = "MODEL", required = true, add = ArgValueCandidates::new(completers::named_models))]
        names: Vec<String>,
        /// Do not ask for confirmation.
        #[arg(short, long)]
        yes: bool,
        /// Remove even the model in use, without asking.
        #[arg(long)]
        force: bool,
    },
    /// Use this model from now on.
    #[command(after_help = "\
Sets `model` in config.toml and leaves the rest of the file as it is.

Examples:
  beastctl models use lfm2-2.6b
  beastctl models use ~/models/mine.gguf
  beastctl models use auto        # the default model if it is on disk, else the built-in one")]
    Use {
        /// Name of a model, path of a GGUF file, `auto` or `builtin`.
        #[arg(value_name = "MODEL", add = ArgValueCompleter::new(completers::usable_models))]
        name: String,
    },
    /// Show the details of a model: licence, sampling, path.
    #[command(after_help = "Examples:\n  beastctl models show lfm2-2.6b\n  beastctl models show --json lfm2-2.6b")]
    Show {
        /// Name of a model.
        #[arg(value_name = "MODEL", add = ArgValueCandidates::new(completers::named_models))]
        name: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// How to download a model.
#[derive(Debug, Args)]
pub struct PullOptions {
    /// Name of a model, ORG/REPO:QUANT, ORG/REPO/FILE.gguf, a URL, or the path of a file.
    #[arg(value_name = "MODEL", add = ArgValueCompleter::new(completers::named_and_files))]
    pub name: String,
    /// Expected SHA-256 of the file.
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    pub sha256: Option<String>,
    /// File name in the models folder [default: its own].
    #[arg(long = "name", value_name = "FILE")]
    pub file: Option<String>,
    /// Do not use the network: only files on disk.
    #[arg(long)]
    pub offline: bool,
    /// Give up after this many tries without a new byte.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub retries: u32,
}

fn sha256(text: &str) -> Result<String, String> {
    crate::models::check::as_sha256(text).ok_or_else(|| "must be 64 hexadecimal digits".into())
}
