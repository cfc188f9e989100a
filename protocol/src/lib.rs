//! The protocol between beastd and its clients: messages and their encoding.
//!
//! A connection opens with a frozen handshake ([`Hello`], [`Welcome`]), then carries [`Request`]s one way and
//! [`Event`]s the other, each as one frame: a little-endian `u32` length and that many bytes. No IO beyond `Read` and
//! `Write`, no runtime: the client blocks on a plain socket, the daemon feeds a [`FrameBuffer`] from an async one.

#![warn(missing_docs)]

mod codec;
mod decide;
mod embed;
mod error;
mod event;
mod handshake;
mod notice;
mod request;
mod status;

pub use codec::{CodecError, FrameBuffer, append_frame, decode, encode, read_frame, write_frame};
pub use decide::{
    AnswerOption, Decide, Decided, KeepTemperatures, MAX_OPTIONS, Question, QuestionKind, expected_level, likeliest,
};
pub use embed::{Embed, Embedded, MAX_TEXTS};
pub use error::{ErrorCode, Sizes, WireError};
pub use event::{
    Counted, Delta, Event, FinishReason, LoadStage, Logprob, Part, Round, Stage, Timings, TokenLogprob, Usage,
};
pub use handshake::{HandshakeError, Hello, Welcome};
pub use notice::{Notice, NoticeKind};
pub use request::{
    Constraint, Extent, Function, Generate, Message, Overflow, Place, Priority, RawPrompt, Request, Resume, Role,
    Sampling, Span, Speculation, TemplateOptions, ToolCall, ToolChoice, Tools,
};
pub use status::{
    Gpu, Model, ModelState, ModelStatus, SpeculationStatus, State, Status, StoredPrefixes, Tuning, UpstreamStatus,
};

/// Version of the messages after the handshake. Raised with every change to a message or its encoding; client and
/// daemon must have the same version.
///
/// - 1: first version.
/// - 2: constraints, overflow handling, parts.
/// - 3: resuming answers; loading, unloading and switching models.
/// - 4: tools, thoughts, raw prompts, log-probabilities, more sampling parameters, priorities.
/// - 5: loop detection; extents of answers; limits for thoughts; decisions; GPUs.
/// - 6: embeddings; token counts; DRY and XTC.
/// - 7: several models: a model's name in requests, one status per model.
/// - 8: models of other servers in the status.
/// - 9: copies of a sentence can be left out (`distinct`).
/// - 10: the type of the KV cache in the status.
pub const VERSION: u32 = 10;

/// Longest frame that is sent or accepted, in bytes, without its length prefix: 32 MiB, checked before any allocation.
pub const MAX_FRAME_LEN: usize = 32 * 1024 * 1024;
