//! Decisions: typed questions about a text, answered with probabilities instead of words.

use serde::{Deserialize, Serialize};

use crate::event::{Timings, Usage};
use crate::notice::Notice;
use crate::request::Place;

/// Most options of a question: the letters that label them in a prompt.
pub const MAX_OPTIONS: usize = 26;

/// Questions about one text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Decide {
    /// See [`crate::Generate::model`].
    pub model: Option<String>,
    /// The text that the questions are about; may be empty.
    pub state: String,
    /// The questions. Each is answered as if it were the only one.
    pub questions: Vec<Question>,
    /// The part of the state to drop if it does not fit; `None` fails instead.
    pub drop: Option<Place>,
    /// Ignores the model's saved temperatures, to fit new ones.
    pub is_raw: bool,
}

/// A question and its possible answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The question itself.
    pub text: String,
    /// The kind of answer.
    pub kind: QuestionKind,
    /// The possible answers: for [`QuestionKind::YesNo`], yes, then no; for [`QuestionKind::Score`], the levels, lowest
    /// first.
    pub options: Vec<AnswerOption>,
}

impl Question {
    /// A yes-or-no question.
    pub fn yes_no(text: impl Into<String>) -> Self {
        let options = ["yes", "no"].map(AnswerOption::new).into();
        Self { text: text.into(), kind: QuestionKind::YesNo, options }
    }
}

/// A possible answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AnswerOption {
    /// Its name.
    pub name: String,
    /// Its meaning; may be empty.
    pub description: String,
}

impl AnswerOption {
    /// An option without a description.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), description: String::new() }
    }
}

/// The kind of answer to a question; each has its own temperature.
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
    /// All kinds.
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
    /// Name of the model.
    pub model: String,
    /// For each question, the probability of each option, in the request's order; they sum to 1.
    pub probabilities: Vec<Vec<f32>>,
    /// For each question, the temperature applied to its log-probabilities: 1 if none was fitted.
    pub temperatures: Vec<f32>,
    /// Tokens of all scored prompts; nothing is generated.
    pub usage: Usage,
    /// Times: `first_token_us` is when the last answer was ready.
    pub timings: Timings,
    /// Notices for the user.
    pub notices: Vec<Notice>,
}

/// Index of the likeliest option; the first one if several are equally likely.
pub fn likeliest(probabilities: &[f32]) -> usize {
    let better = |best: usize, nth: usize| if probabilities[nth] > probabilities[best] { nth } else { best };
    (0..probabilities.len()).reduce(better).unwrap_or(0)
}

/// The expected level of a scale, counted from 0.
pub fn expected_level(probabilities: &[f32]) -> f64 {
    (0u32..).zip(probabilities).map(|(level, &p)| f64::from(level) * f64::from(p)).sum()
}

/// Temperatures fitted to labelled examples, for one model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct KeepTemperatures {
    /// See [`crate::Generate::model`].
    pub model: Option<String>,
    /// Kinds of question and their temperatures, above 0. Other kinds keep theirs.
    pub temperatures: Vec<(QuestionKind, f32)>,
    /// Number of examples.
    pub n_examples: u32,
}
