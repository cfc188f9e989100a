//! Requests from a client.

use serde::{Deserialize, Serialize};

use crate::decide::{Decide, KeepTemperatures};
use crate::embed::Embed;

/// A message from client to daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Generate an answer. One at a time on a connection; closing the connection cancels it.
    Generate(Generate),
    /// Stop the running generation, which then ends with `Done` and reason `Cancelled`. Has no effect if none is
    /// running.
    Cancel,
    /// Ask for the status, which arrives as one `Status` event.
    Status,
    /// Load a model if it is not loaded: answered with `Loading` and `Queued` events, then `Status` or `Failed`.
    Load {
        /// Its name; `None` for the default model.
        model: Option<String>,
    },
    /// Load this model and make it the default one, for requests that name none. Answered like `Load`.
    Use {
        /// A value of the setting `model`, or another name of a model.
        model: String,
    },
    /// Unload models after their running requests have ended. Answered with a `Status` event.
    Unload {
        /// Name of the model; `None` for all that are loaded.
        model: Option<String>,
    },
    /// Accept no more requests, finish running ones within the drain timeout and exit. Answered with a `Status` event.
    Shutdown,
    /// Answer typed questions about a text: `Loading` and `Queued` events, then `Decided` or `Failed`.
    Decide(Decide),
    /// Save temperatures for the loaded model's decisions. Answered with a `Status` event.
    KeepTemperatures(KeepTemperatures),
    /// Embed texts: `Loading` events, then `Embedded` or `Failed`.
    Embed(Embed),
    /// Count the tokens of this request's prompt, whether or not they fit; nothing is generated. `Loading` and `Queued`
    /// events, then `Counted` or `Failed`.
    CountTokens(Generate),
}

/// A generation request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Generate {
    /// Name of the model that answers: from the catalogue, an alias, `ORG/REPO:QUANT`, a file in the models folder, or
    /// an absolute path. `None` for the default model.
    pub model: Option<String>,
    /// The conversation so far, rendered by the model's own chat template. Empty when there is a `raw` prompt.
    pub messages: Vec<Message>,
    /// A prompt that the model continues without a chat template.
    pub raw: Option<RawPrompt>,
    /// Options of the chat template besides the messages.
    pub template: TemplateOptions,
    /// Functions that the model may call, and whether it must.
    pub tools: Tools,
    /// Sampling parameters; missing ones default to the model's.
    pub sampling: Sampling,
    /// Most tokens to generate; `None` for the daemon's default. Also limited by the rest of the context.
    pub max_tokens: Option<u32>,
    /// From this many tokens on, the end of the answer becomes likelier with each token, so that it comes before
    /// `max_tokens`; and an answer that repeats itself is brought to its end at once. `None` if an answer that ends
    /// early would lack something.
    pub soft_limit: Option<u32>,
    /// Whether to leave out copies before `soft_limit` as well: an answer that ends with four or more copies of a
    /// sentence that the prompt does not contain ends after the second.
    pub distinct: bool,
    /// The answer ends before the first of these strings; none may be empty.
    pub stop: Vec<String>,
    /// How much of the answer is wanted.
    pub extent: Extent,
    /// Most tokens of thoughts: at this limit they are closed, and the answer begins. `None` for no limit.
    pub max_thought: Option<u32>,
    /// Ignore end-of-turn tokens and generate up to `max_tokens`: for benchmarks.
    pub ignore_eos: bool,
    /// How to draft; affects the speed, never the text.
    pub speculation: Speculation,
    /// Grammar or schema of the answer.
    pub constraint: Option<Constraint>,
    /// What to do when the prompt does not fit into the context.
    pub overflow: Overflow,
    /// The part of the answer that an earlier daemon generated; only the rest is sent.
    pub resume: Option<Resume>,
    /// For each token of the answer, report its log-probability and those of this many alternatives.
    pub logprobs: Option<u32>,
    /// Scheduling priority.
    pub priority: Priority,
}

impl Generate {
    /// Bytes written by the client, plus some per message. The cost of admission grows with this number.
    pub fn n_bytes(&self) -> usize {
        const OF_A_MESSAGE: usize = 64;
        let of_call = |call: &ToolCall| call.id.len() + call.name.len() + call.arguments.len();
        let of_message = |message: &Message| {
            let calls: usize = message.tool_calls.iter().map(of_call).sum();
            OF_A_MESSAGE + message.content.len() + message.reasoning.len() + calls
        };
        let messages: usize = self.messages.iter().map(of_message).sum();
        let raw = match &self.raw {
            Some(RawPrompt::Text(text)) => text.len(),
            Some(RawPrompt::Tokens(tokens)) => size_of_val(&tokens[..]),
            None => 0,
        };
        let constraint = match &self.constraint {
            Some(Constraint::Grammar(text) | Constraint::Schema(text)) => text.len(),
            None => 0,
        };
        let of_function =
            |function: &Function| function.name.len() + function.description.len() + function.parameters.len();
        let tools: usize = self.tools.functions.iter().map(of_function).sum();
        let stop: usize = self.stop.iter().map(|text| OF_A_MESSAGE + text.len()).sum();
        let resume = self.resume.as_ref().map_or(0, |resume| resume.text.len() + size_of_val(&resume.tokens[..]));
        let biases = size_of_val(&self.sampling.logit_bias[..]);
        messages + raw + constraint + tools + stop + resume + biases + self.template.variables.len()
    }
}

/// How much of an answer is wanted. It ends there with [`crate::FinishReason::StopText`]. Thoughts do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Extent {
    /// The whole answer.
    #[default]
    Whole,
    /// Its first line that is not blank.
    Line,
    /// Its first fenced block of code, and the text before it.
    CodeBlock,
}

/// A prompt that is not a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RawPrompt {
    /// Text; control tokens spelled out in it, such as `<|im_end|>`, are parsed as tokens.
    Text(String),
    /// Tokens of the model's vocabulary.
    Tokens(Vec<i32>),
}

/// Options of the chat template besides messages and tools.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TemplateOptions {
    /// Whether the model thinks before it answers, if its template has a switch for it; `None` for the template's
    /// default.
    pub thinking: Option<bool>,
    /// More variables, as the text of a JSON object; empty for none. They override ours.
    pub variables: String,
    /// Continue the last message, which must be the assistant's.
    pub continue_last: bool,
}

/// Functions that the model may call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tools {
    /// The functions; names must be unique.
    pub functions: Vec<Function>,
    /// Whether to call one.
    pub choice: ToolChoice,
    /// At most one call per answer.
    pub only_one: bool,
}

/// A function that the model may call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its description, for the model; may be empty.
    pub description: String,
    /// JSON schema of its arguments, an object, as JSON text. Empty for a function without arguments.
    pub parameters: String,
}

/// Whether to call a function.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// Never; the model does not see them.
    None,
    /// At least one call.
    Required,
    /// This function.
    Named(String),
}

/// Scheduling priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Priority {
    /// A client waits for the answer.
    #[default]
    Normal,
    /// Yields its slot to requests with normal priority.
    Background,
}

/// The part of an interrupted answer that the client already has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resume {
    /// The text of all its pieces.
    pub text: String,
    /// The tokens of all its pieces. They may extend beyond the text, which is held back at a possible stop string.
    pub tokens: Vec<i32>,
}

/// A constraint on the answer: only tokens that satisfy it can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Constraint {
    /// A grammar in GBNF, llama.cpp's format; its start rule is `root`.
    Grammar(String),
    /// A JSON schema, as JSON text: the answer is one JSON value that satisfies it.
    Schema(String),
}

/// What to do when the prompt does not fit. The material is the part of the last message that may be dropped or split;
/// the text around it (a question, an instruction) stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Overflow {
    /// The request fails with [`crate::ErrorCode::TooLong`].
    #[default]
    Refuse,
    /// Drop as much of the material as needed; a notice says how much.
    Truncate {
        /// The material.
        material: Span,
        /// Which part to drop.
        drop: Place,
    },
    /// Answer the material in parts ([`crate::Event::Part`]), then combine the answers, in rounds.
    Reduce {
        /// The material.
        material: Span,
        /// The system turn for combining answers; empty for the request's own.
        instruction: String,
    },
}

/// A range of bytes in a text; both ends are character boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Span {
    /// The first byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Its beginning.
    Head,
    /// Its middle.
    Middle,
    /// Its end.
    Tail,
}

/// What may draft tokens for the model to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speculation {
    /// Any drafter that is available and pays.
    #[default]
    Auto,
    /// No drafting: one token at a time.
    Off,
    /// Only prompt lookup: tokens that the prompt or the answer already contains.
    Lookup,
    /// Only the draft model; no drafting without one.
    Draft,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Message {
    /// The speaker.
    pub role: Role,
    /// The text.
    pub content: String,
    /// The assistant's thoughts before it; may be empty.
    pub reasoning: String,
    /// Functions called by the assistant.
    pub tool_calls: Vec<ToolCall>,
    /// For a tool's message: the call that it answers.
    pub tool_call_id: Option<String>,
}

impl Message {
    /// A turn with only text.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), ..Self::default() }
    }
}

/// A function call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ToolCall {
    /// Identifies the call in the tool's result.
    pub id: String,
    /// Name of the function.
    pub name: String,
    /// Arguments: a JSON object, as text.
    pub arguments: String,
}

/// The speaker of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions for the whole conversation.
    System,
    /// The user.
    #[default]
    User,
    /// The model.
    Assistant,
    /// The result of a function call.
    Tool,
}

impl Role {
    /// The role's name in chat templates.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }
}

/// Sampling parameters. Missing ones default to the model's.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sampling {
    /// Temperature, 0 for greedy.
    pub temp: Option<f32>,
    /// Nucleus: keep the most likely tokens that together reach this probability, in (0, 1].
    pub top_p: Option<f32>,
    /// Keep this many most likely tokens, 0 for all.
    pub top_k: Option<u32>,
    /// Drop tokens less likely than this share of the most likely one, in [0, 1].
    pub min_p: Option<f32>,
    /// Random seed; without one, each request differs.
    pub seed: Option<u32>,
    /// Divides the logits of recent tokens; 1 has no effect.
    pub repeat_penalty: Option<f32>,
    /// How many recent tokens the penalties consider; 0 for none.
    pub repeat_last_n: Option<u32>,
    /// Subtracted from the logits of recent tokens per occurrence, in [-2, 2].
    pub frequency_penalty: Option<f32>,
    /// Subtracted once from the logits of recent tokens, in [-2, 2].
    pub presence_penalty: Option<f32>,
    /// Added to the logits of tokens; minus infinity bans one.
    pub logit_bias: Vec<(i32, f32)>,
    /// DRY: penalizes the token that would continue a repeated sequence, by this times `dry_base` to the power of the
    /// sequence's length beyond `dry_allowed_length`; 0 for none.
    pub dry_multiplier: Option<f32>,
    /// See `dry_multiplier`; at least 1.
    pub dry_base: Option<f32>,
    /// How many tokens may repeat without a penalty.
    pub dry_allowed_length: Option<u32>,
    /// How many recent tokens of the answer DRY looks at; 0 for none.
    pub dry_penalty_last_n: Option<u32>,
    /// XTC: how often to drop all but the least likely of the tokens that reach `xtc_threshold`, in [0, 1].
    pub xtc_probability: Option<f32>,
    /// See `xtc_probability`, in [0, 1]; above 0.5 no two tokens reach it.
    pub xtc_threshold: Option<f32>,
}
