//! What a client asks for.

use serde::{Deserialize, Serialize};

use crate::decide::{Decide, KeepTemperatures};

/// A message from client to daemon.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time on a connection, and nearly all are the large one"
)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Generate an answer. One at a time on a connection; closing the connection cancels it.
    Generate(Generate),
    /// Stop the running generation: it ends with `Done` and reason `Cancelled`. Without one running, nothing happens.
    Cancel,
    /// Describe yourself: answered with one `Status` event.
    Status,
    /// Load the model if it is not loaded: answered with `Loading` events, then `Status` or `Failed`. With a `model` (a
    /// value of the setting of this name) that one is loaded in the place of the present one, once running requests
    /// have ended.
    Load {
        /// Which; none for the configured one.
        model: Option<String>,
    },
    /// Give the model's memory back once running requests have ended. Answered with a `Status` event.
    Unload,
    /// Stop taking requests, finish the running ones within the drain time and end. Answered with a `Status` event.
    Shutdown,
    /// Answer typed questions about a text: `Loading` and `Queued` events, then `Decided` or `Failed`.
    Decide(Decide),
    /// Keep temperatures for the decisions of the loaded model. Answered with a `Status` event.
    KeepTemperatures(KeepTemperatures),
}

/// Everything that a generation needs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Generate {
    /// The conversation so far, rendered by the model's own chat template. Empty when there is a `raw` prompt.
    pub messages: Vec<Message>,
    /// A prompt that the model continues as it is, without chat template.
    pub raw: Option<RawPrompt>,
    /// How the chat template is rendered, besides the messages.
    pub template: TemplateOptions,
    /// Functions that the model may call, and whether it has to.
    pub tools: Tools,
    /// How tokens are chosen; what is absent is taken from the model.
    pub sampling: Sampling,
    /// Most tokens to generate; `None` for the daemon's default. The rest of the context bounds it.
    pub max_tokens: Option<u32>,
    /// The answer ends before the first of these texts; none may be empty.
    pub stop: Vec<String>,
    /// Goes on when the model wants to end, up to `max_tokens`: for measuring.
    pub ignore_eos: bool,
    /// How the answer may be guessed ahead; it changes the speed, never the text.
    pub speculation: Speculation,
    /// What the answer must look like.
    pub constraint: Option<Constraint>,
    /// What is done when the prompt does not fit into the context.
    pub overflow: Overflow,
    /// The beginning of the answer, when the daemon that gave it has ended: only what follows is sent.
    pub resume: Option<Resume>,
    /// For each token of the answer, its log-probability and those of this many likeliest tokens.
    pub logprobs: Option<u32>,
    /// Who goes first.
    pub priority: Priority,
}

impl Generate {
    /// Bytes of all that its client wrote, and some for each message: what reading it costs grows with this.
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

/// A prompt that is no conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RawPrompt {
    /// Text; spellings of control tokens, such as `<|im_end|>`, are read as those tokens.
    Text(String),
    /// Tokens of the model's vocabulary.
    Tokens(Vec<i32>),
}

/// What a chat template is told besides messages and tools.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TemplateOptions {
    /// Whether the model thinks before it answers, where its template can tell it; `None` for the template's own
    /// default.
    pub thinking: Option<bool>,
    /// More variables, as the text of a JSON object; empty for none. They win over ours.
    pub variables: String,
    /// The answer continues the last message, which is the assistant's.
    pub continue_last: bool,
}

/// Functions that the model may call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tools {
    /// The functions; their names differ.
    pub functions: Vec<Function>,
    /// Whether one is called.
    pub choice: ToolChoice,
    /// At most one call in an answer.
    pub only_one: bool,
}

/// A function that the model may call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it does, for the model; may be empty.
    pub description: String,
    /// A JSON schema of an object, as JSON text: its arguments. Empty for a function without any.
    pub parameters: String,
}

/// Whether a function is called.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// None; the model is not told of them.
    None,
    /// At least one.
    Required,
    /// The one of this name.
    Named(String),
}

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Priority {
    /// Somebody waits for the answer.
    #[default]
    Normal,
    /// Yields its slot to requests of normal priority.
    Background,
}

/// What a client has of an answer that was broken off.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resume {
    /// The text of all its pieces.
    pub text: String,
    /// The tokens of all its pieces. They may go further than the text, which is held back where a stop text may begin.
    pub tokens: Vec<i32>,
}

/// What an answer must look like: no other token can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Constraint {
    /// A grammar in llama.cpp's GBNF; its first rule is called `root`.
    Grammar(String),
    /// A JSON schema, as JSON text: the answer is one JSON value that satisfies it.
    Schema(String),
}

/// Material is the part of the last message that may be dropped or divided; what surrounds it (a question, an
/// instruction) stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Overflow {
    /// The request fails with [`crate::ErrorCode::TooLong`].
    #[default]
    Refuse,
    /// As much of the material goes as is needed; a notice says how much that was.
    Truncate {
        /// Where the material is.
        material: Span,
        /// What goes.
        drop: Place,
    },
    /// The material is answered part by part ([`crate::Event::Part`]), then the answers are answered together, in
    /// rounds.
    Reduce {
        /// Where the material is.
        material: Span,
        /// The system turn for answering answers; empty for the request's own.
        instruction: String,
    },
}

/// Bytes of a text, from `start` up to but without `end`; both are ends of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Span {
    /// The first byte.
    pub start: u64,
    /// The byte after the last.
    pub end: u64,
}

/// A place in a text.
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

/// What may guess tokens ahead, for the model to check several at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speculation {
    /// Whatever is there and pays.
    #[default]
    Auto,
    /// Nothing: one token at a time.
    Off,
    /// Only what the prompt and the answer contain already.
    Lookup,
    /// Only the draft model; nothing when there is none.
    Draft,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// What the assistant thought before it said that; empty for nothing.
    pub reasoning: String,
    /// Functions that the assistant called.
    pub tool_calls: Vec<ToolCall>,
    /// Of a tool's message: the call that it answers.
    pub tool_call_id: Option<String>,
}

impl Message {
    /// A turn that is only text.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), ..Self::default() }
    }
}

/// A call of a function.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ToolCall {
    /// By which the answer to it refers to it.
    pub id: String,
    /// Of the function.
    pub name: String,
    /// A JSON object, as text.
    pub arguments: String,
}

/// Who speaks in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions that hold for the whole conversation.
    System,
    /// The person.
    #[default]
    User,
    /// The model.
    Assistant,
    /// What a called function returned.
    Tool,
}

impl Role {
    /// The name that chat templates expect.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }
}

/// How tokens are chosen. Every field that is `None` falls back to the model's own default.
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
    /// Seed of the random choice; without one each request differs.
    pub seed: Option<u32>,
    /// Divides the logits of recent tokens; 1 does nothing.
    pub repeat_penalty: Option<f32>,
    /// How many recent tokens the penalties look at; 0 for none.
    pub repeat_last_n: Option<u32>,
    /// Subtracted from the logits of recent tokens for each time that they occur, in [-2, 2].
    pub frequency_penalty: Option<f32>,
    /// Subtracted once from the logits of recent tokens, in [-2, 2].
    pub presence_penalty: Option<f32>,
    /// Added to the logits of tokens; minus infinity forbids one.
    pub logit_bias: Vec<(i32, f32)>,
}
