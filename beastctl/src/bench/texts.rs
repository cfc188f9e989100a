//! The prompts. Each is numbered and used once, so that the engine computes it: a repeated one would come from the
//! prefix cache.
//!
//! All are about software, because the built-in model has seen little else.

use beast_protocol::{Generate, Message, Role, Sampling, Speculation};

/// Approximate tokens per sentence of [`material`].
const N_TOKENS_A_SENTENCE: usize = 11;
const SUMMARIZE: &str = "Summarize the text in one sentence.";
const REPEAT: &str = "Repeat the text word for word.";
const ANSWER: &str = "Answer briefly and accurately. Use plain text.";

/// One long sentence per line, since the built-in model repeats no more than one. `{}` is the text's number.
const TO_COPY: &str = include_str!("to_copy.txt");
/// Questions that the model must answer from memory, because the prompt contains nothing of the answer.
const THINGS: &str = include_str!("things.txt");
/// Number of short answers measured together, because one alone ends before it can be measured.
const N_SHORT: usize = 4;

/// A prompt of about `n_prompt` tokens, with an answer of exactly `n_answer`.
pub(super) fn prompt(n: usize, n_prompt: usize, n_answer: u32) -> Generate {
    let text = material(n, n_prompt.saturating_sub(30) / N_TOKENS_A_SENTENCE);
    Generate { ignore_eos: true, ..request(Some(SUMMARIZE), &text, n_answer) }
}

pub(super) fn to_copy(n: usize, n_answer: u32) -> Vec<Generate> {
    let text = |at: usize| line(TO_COPY, at).replace("{}", &(at + 2).to_string());
    (n * N_SHORT..).take(N_SHORT).map(|at| request(Some(REPEAT), &text(at), n_answer)).collect()
}

pub(super) fn to_answer(n: usize, n_answer: u32) -> Vec<Generate> {
    let text = |at: usize| format!("What is {}?", line(THINGS, at));
    (n * N_SHORT..).take(N_SHORT).map(|at| request(Some(ANSWER), &text(at), n_answer)).collect()
}

/// The line at this index; starts again after the last one.
fn line(texts: &str, at: usize) -> &str {
    texts.lines().nth(at % texts.lines().count()).expect("broken invariant: there are texts")
}

pub(super) fn instruction(n: usize, n_tokens: usize) -> String {
    format!(
        "{SUMMARIZE} Know this about the project. {}",
        material(n, n_tokens.saturating_sub(20) / N_TOKENS_A_SENTENCE)
    )
}

/// A short, unique text after an instruction, with an answer of a single token.
pub(super) fn behind(instruction: Option<&str>, n: usize) -> Generate {
    Generate { ignore_eos: true, ..request(instruction, &material(n, 2), 1) }
}

/// Greedy, and without drafting unless the caller changes it.
fn request(system: Option<&str>, user: &str, n_answer: u32) -> Generate {
    let message = |role, content: &str| Message::new(role, content);
    let system = system.map(|system| message(Role::System, system));
    Generate {
        messages: system.into_iter().chain([message(Role::User, user)]).collect(),
        sampling: Sampling { temp: Some(0.0), ..Sampling::default() },
        max_tokens: Some(n_answer),
        speculation: Speculation::Off,
        ..Generate::default()
    }
}

/// This many sentences, all different from each other and from those of other texts.
fn material(n: usize, n_sentences: usize) -> String {
    const WHO: [&str; 7] = ["parser", "server", "index", "cache", "driver", "package", "module"];
    const WHAT: [&str; 5] =
        ["was renamed", "is faster than before", "was removed", "reads less data", "has a new test"];
    let sentence = |at: usize| {
        let (who, what) = (WHO[(n + at) % WHO.len()], WHAT[(n + at) % WHAT.len()]);
        format!("In change {n}.{at} the {who} {what}.")
    };
    (1..=n_sentences).map(sentence).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "texts_tests.rs"]
mod tests;
