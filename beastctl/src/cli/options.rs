//! Options of all verbs that generate an answer.

use std::path::PathBuf;

use beast_protocol::Place;
use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;

use super::{completers, conversation::ConversationOptions, output::OutputOptions};
use crate::{
    models::reference::named,
    numbers::{dry_base, dry_multiplier, max_tokens, min_p, repeat_penalty, seed, temp, tokens, top_k, top_p, xtc},
};

/// The model that answers.
#[derive(Debug, Clone, Default, Args)]
pub struct ModelOption {
    /// Model to ask: a name from `beastctl models`, ORG/REPO:QUANT, or a path [default: the one in use].
    #[arg(short, long, value_name = "MODEL", add = ArgValueCompleter::new(completers::askable_models))]
    pub model: Option<String>,
}

impl ModelOption {
    /// Its name for the daemon.
    pub fn name(&self) -> Option<String> {
        self.model.as_deref().map(named)
    }
}

/// What every request for an answer takes, alone or one of many.
#[derive(Debug, Clone, Default, Args)]
pub struct RequestOptions {
    #[command(flatten)]
    pub model: ModelOption,

    /// Replace the prompt's instruction.
    #[arg(short, long, value_name = "TEXT")]
    pub system: Option<String>,

    /// Set a variable of the prompt, empty only if its default is; may be repeated.
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub param: Vec<(String, String)>,

    /// Longest answer, in tokens.
    #[arg(long, value_name = "N", value_parser = max_tokens, allow_negative_numbers = true)]
    pub max_tokens: Option<u32>,

    /// End the answer before this string; may be repeated.
    #[arg(long, value_name = "TEXT", value_parser = stop_text)]
    pub stop: Vec<String>,

    /// Drop the head, middle or tail of input that is too long, instead of failing.
    #[arg(long, value_name = "PLACE", value_enum)]
    pub truncate: Option<Truncate>,

    #[command(flatten)]
    pub thinking: ThinkingOptions,

    /// Fail if no daemon is running, instead of starting one.
    #[arg(long)]
    pub no_start: bool,
}

/// Options of all verbs that generate an answer.
#[derive(Debug, Default, Args)]
pub struct Options {
    #[command(flatten)]
    pub request: RequestOptions,

    #[command(flatten, next_help_heading = "Conversation")]
    pub conversation: ConversationOptions,

    #[command(flatten, next_help_heading = "Tools")]
    pub tools: ToolOptions,

    #[command(flatten, next_help_heading = "Sampling")]
    pub sampling: SamplingOptions,

    #[command(flatten, next_help_heading = "Output")]
    pub output: OutputOptions,
}

/// Thoughts of models that think before they answer.
#[derive(Debug, Clone, Default, Args)]
pub struct ThinkingOptions {
    /// Think before the answer, if the model can.
    #[arg(long, overrides_with = "no_think")]
    pub think: bool,

    /// Answer without thinking, if the model can.
    #[arg(long)]
    pub no_think: bool,

    /// How hard to think, for models that know efforts.
    #[arg(long, value_name = "LEVEL", value_parser = ["low", "medium", "high"], conflicts_with = "no_think")]
    pub effort: Option<String>,

    /// Stop thinking after this many tokens and answer.
    #[arg(long, value_name = "N", value_parser = max_tokens, allow_negative_numbers = true)]
    pub max_thought: Option<u32>,
}

impl ThinkingOptions {
    /// The user's wish; `None` if neither option was given.
    pub fn wish(&self) -> Option<bool> {
        match (self.think || self.effort.is_some(), self.no_think) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        }
    }
}

/// Which part of the input to drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Truncate {
    /// Its beginning.
    Head,
    /// Its middle.
    Middle,
    /// Its end.
    Tail,
}

impl From<Truncate> for Place {
    fn from(part: Truncate) -> Self {
        match part {
            Truncate::Head => Place::Head,
            Truncate::Middle => Place::Middle,
            Truncate::Tail => Place::Tail,
        }
    }
}

/// Functions that the model may call.
#[derive(Debug, Default, Args)]
pub struct ToolOptions {
    /// Functions that the model may call: a JSON array of OpenAI tools, as a file or inline. Prints each call as a
    /// JSON line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["schema", "grammar", "extract", "extract_json"])]
    pub tools: Option<PathBuf>,

    /// Whether to call one: auto, none, required, or the NAME of the function.
    #[arg(long, value_name = "CHOICE", requires = "tools")]
    pub tool_choice: Option<String>,
}

/// Sampling options.
#[derive(Debug, Clone, Default, Args)]
pub struct SamplingOptions {
    /// Temperature; 0 always takes the likeliest token.
    #[arg(long, value_name = "T", value_parser = temp, allow_negative_numbers = true)]
    pub temp: Option<f32>,

    /// Sample from the likeliest tokens that together reach this probability.
    #[arg(long, value_name = "P", value_parser = top_p, allow_negative_numbers = true)]
    pub top_p: Option<f32>,

    /// Sample from this many likeliest tokens, 0 for all.
    #[arg(long, value_name = "N", value_parser = top_k, allow_negative_numbers = true)]
    pub top_k: Option<u32>,

    /// Drop tokens less likely than this share of the likeliest one.
    #[arg(long, value_name = "P", value_parser = min_p, allow_negative_numbers = true)]
    pub min_p: Option<f32>,

    /// Divide the logits of recent tokens by this: above 1 for less repetition, 1 for none.
    #[arg(long, value_name = "P", value_parser = repeat_penalty, allow_negative_numbers = true)]
    pub repeat_penalty: Option<f32>,

    /// DRY: penalize tokens that continue a repeated sequence, by this strength; 0 for none.
    #[arg(long, value_name = "N", value_parser = dry_multiplier, allow_negative_numbers = true)]
    pub dry_multiplier: Option<f32>,

    /// DRY: growth of the penalty with each repeated token.
    #[arg(long, value_name = "N", value_parser = dry_base, allow_negative_numbers = true)]
    pub dry_base: Option<f32>,

    /// DRY: how many tokens may repeat without a penalty.
    #[arg(long, value_name = "N", value_parser = tokens, allow_negative_numbers = true)]
    pub dry_allowed_length: Option<u32>,

    /// DRY: how many recent tokens of the answer count [default: all].
    #[arg(long, value_name = "N", value_parser = tokens, allow_negative_numbers = true)]
    pub dry_penalty_last_n: Option<u32>,

    /// XTC: how often to drop all but the least likely of the tokens above the threshold; 0 for never.
    #[arg(long, value_name = "P", value_parser = xtc, allow_negative_numbers = true)]
    pub xtc_probability: Option<f32>,

    /// XTC: the threshold, as a probability; above 0.5 nothing is dropped.
    #[arg(long, value_name = "P", value_parser = xtc, allow_negative_numbers = true)]
    pub xtc_threshold: Option<f32>,

    /// Random seed, for a reproducible answer.
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    pub seed: Option<u32>,
}

pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(super) fn stop_text(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("must not be empty".into()) } else { Ok(text.into()) }
}
