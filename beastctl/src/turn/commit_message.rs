//! Decides whether an answer is a commit message, for the hook and `commit-msg`: not a line of the diff, not our
//! instructions, not a loop.
//!
//! Knows request and answer; never knows where the message is used.

use beast_protocol::{Generate, Overflow, Span};

use crate::git::{self, Given};

/// The prompt that writes messages.
pub(crate) const PROMPT: &str = "commit-msg";

/// A message, or what is wrong with the answer.
pub(crate) type Found = Result<String, String>;

#[derive(Debug)]
pub(crate) struct Guard {
    is_subject: bool,
    comment: String,
    /// Our own texts in the request, which must not be taken for a message.
    instructions: Vec<String>,
    material: String,
}

impl Guard {
    /// A guard for the answer to this request, whose material is at `span`. `is_subject` asks for a single line,
    /// `comment` is the comment character.
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

    pub(crate) fn is_subject(&self) -> bool {
        self.is_subject
    }

    /// The first line, once it is complete; `is_whole` says that the answer is complete.
    pub(crate) fn subject(&self, answer: &str, is_whole: bool) -> Option<Found> {
        self.given(|given| git::subject(answer, &self.comment, is_whole, given))
    }

    /// The whole answer as a message; `None` if nothing remains. Only complete lines of a truncated answer count.
    pub(crate) fn message(&self, answer: &str, is_cut: bool) -> Option<Found> {
        let answer = if is_cut { answer.rsplit_once('\n')?.0 } else { answer };
        self.given(|given| git::message(answer, &self.comment, given))
    }

    fn given<T>(&self, check: impl FnOnce(&Given<'_>) -> T) -> T {
        let instructions: Vec<&str> = self.instructions.iter().map(String::as_str).collect();
        check(&Given { instructions: &instructions, material: &self.material })
    }
}
