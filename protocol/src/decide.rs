//! Decisions: typed questions about a text, answered with probabilities instead of words.

use serde::{Deserialize, Serialize};

use crate::event::{Notice, Timings, Usage};
use crate::request::Place;

/// Questions about one text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Decide {
    /// The text that the questions are about; may be empty.
    pub state: String,
    /// The questions. Each is answered as if it were the only one.
    pub questions: Vec<Question>,
    /// Which place of the state is dropped when it does not fit; `None` refuses it.
    pub drop: Option<Place>,
    /// Leaves the temperatures of the model out, to fit new ones.
    pub is_raw: bool,
}

/// A question and what may be answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// In words.
    pub text: String,
    /// What kind of answer it wants.
    pub kind: QuestionKind,
    /// What may be answered: of [`QuestionKind::YesNo`] yes, then no; of [`QuestionKind::Score`] the levels, lowest
    /// first.
    pub options: Vec<AnswerOption>,
}

impl Question {
    /// A question that is answered with yes or no.
    pub fn yes_no(text: impl Into<String>) -> Self {
        let options = ["yes", "no"].map(AnswerOption::new).into();
        Self { text: text.into(), kind: QuestionKind::YesNo, options }
    }
}

/// Something that may be answered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AnswerOption {
    /// Its name.
    pub name: String,
    /// What it means; may be empty.
    pub description: String,
}

impl AnswerOption {
    /// An option that needs no description.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), description: String::new() }
    }
}

/// What kind of answer a question wants; each has its own temperature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// Yes or no.
    YesNo,
    /// One of several options.
    Choice,
    /// A level on a scale.
    Score,
}

impl QuestionKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::YesNo, Self::Choice, Self::Score];

    /// Its name, for people and files.
    pub fn as_str(self) -> &'static str {
        match self {
            QuestionKind::YesNo => "yes_no",
            QuestionKind::Choice => "choice",
            QuestionKind::Score => "score",
        }
    }
}

/// The answers to [`Decide`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// Name of the model that answers.
    pub model: String,
    /// For each question the probability of each of its options, in the order of the request; they sum to 1.
    pub probabilities: Vec<Vec<f32>>,
    /// For each question the temperature that its probabilities were divided by: 1 where none was fitted.
    pub temperatures: Vec<f32>,
    /// Tokens of all prompts that were scored; nothing is generated.
    pub usage: Usage,
    /// Times: `first_token_us` is when the last answer was there.
    pub timings: Timings,
    /// What the user should know about how the answers were made.
    pub notices: Vec<Notice>,
}

/// Temperatures that were fitted to labelled examples, for the model that is loaded.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct KeepTemperatures {
    /// Kinds of question and their temperature, above 0. Kinds that are not named keep theirs.
    pub temperatures: Vec<(QuestionKind, f32)>,
    /// How many examples they were fitted to.
    pub n_examples: u32,
}
