//! What `beastctl models` can do.

use clap::{Args, Subcommand};
use clap_complete::{ArgValueCandidates, ArgValueCompleter};

use super::completers;

/// What to do with the models; nothing said means the list.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ModelsOptions {
    /// What to do.
    #[command(subcommand)]
    pub action: Option<ModelsAction>,
    /// One JSON array.
    #[arg(long)]
    pub json: bool,
}

/// What is to be done with models.
#[derive(Debug, Subcommand)]
pub enum ModelsAction {
    /// List the models that have a name and those on this disk; this is what happens without a word.
    List {
        /// One JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model and print its path; goes on where it was interrupted.
    #[command(after_help = "\
The SHA-256 is checked where one is known: the hub says it, for other addresses --sha256 does.
HF_TOKEN is for repositories that ask for one, HF_ENDPOINT for a mirror, HTTPS_PROXY and NO_PROXY for proxies.

Examples:
  beastctl models pull lfm2-2.6b
  beastctl models pull LiquidAI/LFM2-1.2B-GGUF:Q4_K_M
  beastctl models pull https://example.org/model.gguf --sha256 HEX")]
    Pull(PullOptions),
    /// Remove a model from this disk.
    #[command(after_help = "Examples:\n  beastctl models rm lfm2.5-350m\n  beastctl models rm -y old-model.gguf")]
    Rm {
        /// Names of models.
        #[arg(value_name = "MODEL", required = true, add = ArgValueCandidates::new(completers::named_models))]
        names: Vec<String>,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
        /// Do not ask, and remove also the model in use.
        #[arg(long)]
        force: bool,
    },
    /// Let beastd answer with this model from now on.
    #[command(after_help = "\
Writes `model` into config.toml, and leaves everything else there as it is.

Examples:
  beastctl models use lfm2-2.6b
  beastctl models use ~/models/mine.gguf
  beastctl models use auto        # the default model when it is there, else the built-in one")]
    Use {
        /// Name of a model, path of a GGUF file, `auto` or `builtin`.
        #[arg(value_name = "MODEL", add = ArgValueCompleter::new(completers::usable_models))]
        name: String,
    },
    /// Show all that is known of a model: licence, sampling, where it is.
    #[command(after_help = "Examples:\n  beastctl models show lfm2-2.6b\n  beastctl models show --json lfm2-2.6b")]
    Show {
        /// Name of a model.
        #[arg(value_name = "MODEL", add = ArgValueCandidates::new(completers::named_models))]
        name: String,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// How a model is fetched.
#[derive(Debug, Args)]
pub struct PullOptions {
    /// Name of a model, ORG/REPO:QUANT, ORG/REPO/FILE.gguf, an address, or the path of a file.
    #[arg(value_name = "MODEL", add = ArgValueCompleter::new(completers::named_and_files))]
    pub name: String,
    /// The SHA-256 that the file must have.
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    pub sha256: Option<String>,
    /// Name of the file in the models folder [default: its own].
    #[arg(long = "name", value_name = "FILE")]
    pub file: Option<String>,
    /// Use no network: only what is on this disk.
    #[arg(long)]
    pub offline: bool,
    /// Tries without a new byte before giving up.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub retries: u32,
}

fn sha256(text: &str) -> Result<String, String> {
    crate::models::check::as_sha256(text).ok_or_else(|| "must be 64 hexadecimal digits".into())
}
