//! What passes for a commit message, for the hook and for `commit-msg`: neither a line of the diff, nor words of ours,
//! nor a loop.
//!
//! Knows what was asked and what was answered; never knows who shows it.

use beast_protocol::{Generate, Overflow, Span};

use crate::git::{self, Given};

/// The prompt that writes messages.
pub(crate) const PROMPT: &str = "commit-msg";

/// A message, or what is wrong with the answer.
pub(crate) type Found = Result<String, String>;

/// What was asked, and how much is wanted.
#[derive(Debug)]
pub(crate) struct Guard {
    is_subject: bool,
    comment: String,
    /// The words that went to the model; they are none of a message.
    instructions: Vec<String>,
    material: String,
}

impl Guard {
    /// For the answer to this request, whose material is at `span`. `is_subject` says that one line was asked for,
    /// `comment` is what comments begin with.
    pub(crate) fn new(request: &Generate, span: Span, is_subject: bool, comment: &str) -> Self {
        let (last, earlier) = request.messages.split_last().expect("broken invariant: a request has a user turn");
        let at = |n: u64| usize::try_from(n).expect("broken invariant: a place in a text in memory");
        let (before, rest) = last.content.split_at(at(span.start));
        let (material, after) = rest.split_at(at(span.end - span.start));
        let mut instructions: Vec<String> = earlier.iter().map(|message| message.content.clone()).collect();
        instructions.extend([before.to_owned(), after.to_owned()]);
        if let Overflow::Reduce { instruction, .. } = &request.overflow {
            instructions.push(instruction.clone());
        }
        Self { is_subject, comment: comment.to_owned(), instructions, material: material.to_owned() }
    }

    /// Whether the first line is all that was asked for.
    pub(crate) fn is_subject(&self) -> bool {
        self.is_subject
    }

    /// The first line, as soon as it is whole; `is_whole` tells that no more of the answer will come.
    pub(crate) fn subject(&self, answer: &str, is_whole: bool) -> Option<Found> {
        self.given(|given| git::subject(answer, &self.comment, is_whole, given))
    }

    /// All of an answer; `None` when nothing is left of it. Of one that was cut, what ends with a line.
    pub(crate) fn message(&self, answer: &str, is_cut: bool) -> Option<Found> {
        let answer = if is_cut { answer.rsplit_once('\n')?.0 } else { answer };
        self.given(|given| git::message(answer, &self.comment, given))
    }

    fn given<T>(&self, check: impl FnOnce(&Given<'_>) -> T) -> T {
        let instructions: Vec<&str> = self.instructions.iter().map(String::as_str).collect();
        check(&Given { instructions: &instructions, material: &self.material })
    }
}
