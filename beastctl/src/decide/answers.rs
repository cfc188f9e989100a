//! Turns the command line into questions, and probabilities into answers. Knows no daemon and no terminal.

use beast_protocol::{AnswerOption, MAX_OPTIONS, Question, QuestionKind, expected_level, likeliest};
use serde_json::{Map, Value, json};

use super::error::DecideError;
use crate::{cli::Scale, exit};

/// The possible answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answers {
    YesNo,
    Choice(Vec<String>),
    Score(Scale),
}

impl Answers {
    /// The answers that the command line offers.
    ///
    /// # Errors
    /// [`DecideError::Choice`].
    pub(super) fn new(choice: &[String], score: Option<Scale>) -> Result<Self, DecideError> {
        if let Some(scale) = score {
            return Ok(Answers::Score(scale));
        }
        if choice.is_empty() {
            return Ok(Answers::YesNo);
        }
        let names: Vec<String> = choice.iter().map(|name| name.trim().to_owned()).collect();
        if names.iter().any(String::is_empty) {
            return Err(DecideError::Choice("an answer is empty"));
        }
        let mut distinct = names.clone();
        distinct.sort();
        distinct.dedup();
        match names.len() {
            n if distinct.len() < n => Err(DecideError::Choice("two answers are the same")),
            1 => Err(DecideError::Choice("there is only one answer")),
            n if n > MAX_OPTIONS => Err(DecideError::Choice("there are more than 26 answers")),
            _ => Ok(Answers::Choice(names)),
        }
    }

    /// A question with these answers.
    pub(super) fn question(&self, text: &str) -> Question {
        let (kind, options): (_, Vec<AnswerOption>) = match self {
            Answers::YesNo => return Question::yes_no(text),
            Answers::Choice(names) => (QuestionKind::Choice, names.iter().map(AnswerOption::new).collect()),
            Answers::Score(Scale { low, high }) => {
                (QuestionKind::Score, (*low..=*high).map(|level| AnswerOption::new(level.to_string())).collect())
            }
        };
        Question { text: text.to_owned(), kind, options }
    }
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    question: Question,
    probabilities: Vec<f32>,
    temperature: f32,
    /// Index of the printed option.
    nth: usize,
    is_unsure: bool,
}

impl Answer {
    /// `gap` comes from `--unsure`. `None` if the probabilities do not fit the question's options.
    pub(super) fn new(question: Question, probabilities: Vec<f32>, temperature: f32, gap: f32) -> Option<Self> {
        let are_valid = probabilities.iter().all(|p| (0.0..=1.0).contains(p));
        if !are_valid || probabilities.len() != question.options.len() {
            return None;
        }
        let mut sorted = probabilities.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let is_unsure = matches!(sorted[..], [first, second, ..] if first - second < gap);
        let nth = match question.kind {
            QuestionKind::Score => expected_level(&probabilities).round() as usize,
            _ => likeliest(&probabilities),
        };
        Some(Self { question, probabilities, temperature, nth, is_unsure })
    }

    /// The exit code. A choice or a score is never a no.
    pub(super) fn code(&self) -> u8 {
        match (self.is_unsure, self.question.kind, self.nth) {
            (true, ..) => exit::UNSURE,
            (false, QuestionKind::YesNo, 1) => exit::NO,
            _ => exit::DONE,
        }
    }

    /// The answer in one word.
    pub(super) fn text(&self) -> &str {
        if self.is_unsure {
            return "unsure";
        }
        self.question.options.get(self.nth).map_or("", |option| option.name.as_str())
    }

    /// One line of several: `QUESTION<TAB>answer<TAB>p`. For `unsure`, `p` is the probability of the likeliest option.
    pub(super) fn line(&self) -> String {
        let question = self.question.text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{question}\t{}\t{:.3}\n", self.text(), self.probabilities.get(self.nth).copied().unwrap_or(0.0))
    }

    /// The answer as JSON.
    pub(super) fn object(&self, model: &str) -> Value {
        let options = self.question.options.iter().map(|option| option.name.clone());
        let values = self.probabilities.iter().map(|&p| Value::from(rounded(f64::from(p))));
        let probabilities: Map<String, Value> = options.zip(values).collect();
        let mut object = json!({
            "question": self.question.text,
            "type": self.question.kind.as_str(),
            "answer": self.text(),
        });
        if self.question.kind == QuestionKind::Score {
            let low = self.question.options.first().and_then(|option| option.name.parse::<f64>().ok()).unwrap_or(0.0);
            object["answer"] = (low as i64 + self.nth as i64).into();
            object["expected"] = rounded(low + expected_level(&self.probabilities)).into();
        }
        object["probabilities"] = probabilities.into();
        object["temperature"] = rounded(f64::from(self.temperature)).into();
        object["model"] = model.into();
        object
    }
}

/// The exit code of several answers: no if any is no, else unsure if any is unsure, else yes.
pub(super) fn code(answers: &[Answer]) -> u8 {
    let codes: Vec<u8> = answers.iter().map(Answer::code).collect();
    [exit::NO, exit::UNSURE].into_iter().find(|code| codes.contains(code)).unwrap_or(exit::DONE)
}

/// Rounds to four digits, because the model's numbers are no more precise.
fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
