//! The prompts. Each is numbered and used once, so that no cached prefix answers in the engine's place.
//!
//! All are about software: the built-in model has seen little else.

use beast_protocol::{Generate, Message, Role, Sampling, Speculation};

/// A sentence of [`material`] has about so many tokens.
const N_TOKENS_A_SENTENCE: usize = 11;
const SUMMARIZE: &str = "Summarize the text in one sentence.";
const REPEAT: &str = "Repeat the text word for word.";
const ANSWER: &str = "Answer briefly and accurately. Use plain text.";

/// One long sentence each, since the built-in model repeats no more than one. `{}` is the text's number.
const TO_COPY: [&str; 8] = [
    "The package manager of release {} installs, upgrades and removes programs, resolves the dependencies between \
     packages and checks every signature before an archive is unpacked.",
    "In release {} the scheduler of the server reads the queue, sorts the waiting requests by their age and gives the \
     oldest one half of the batch.",
    "The parser of version {} reads the configuration file line by line, checks every key against the list of known \
     settings and reports the line of the first mistake.",
    "The build of release {} compiles every crate of the workspace, runs the unit tests and the integration tests and \
     writes the report to a file.",
    "Version {} of the backup tool reads the list of folders, compares the time of every file with the last archive \
     and copies only the files that have changed.",
    "In version {} the compiler checks the types of all functions, removes the code that is never called and writes \
     one object file for each module.",
    "The index of release {} stores the name and the size of every file, keeps the entries sorted by name and answers \
     a query without reading the disk.",
    "The terminal of version {} draws only the lines that have changed, keeps the last thousand lines in memory and \
     writes the rest to a file.",
];
/// The model has to know the answers: nothing of them stands in the question.
const THINGS: [&str; 24] = [
    "a kernel",
    "a compiler",
    "a linker",
    "a shell",
    "tar",
    "a socket",
    "a mutex",
    "a cache",
    "make",
    "SSH",
    "a thread",
    "TCP",
    "JSON",
    "a container",
    "a hash table",
    "a debugger",
    "a regular expression",
    "rsync",
    "grep",
    "a process",
    "a database",
    "a pipe",
    "a driver",
    "DNS",
];
/// Short answers are asked for several at a time: one alone is over before it can be measured.
const N_SHORT: usize = 4;

/// A prompt of about so many tokens, and an answer of exactly so many.
pub(super) fn prompt(n: usize, n_prompt: usize, n_answer: u32) -> Generate {
    let text = material(n, n_prompt.saturating_sub(30) / N_TOKENS_A_SENTENCE);
    Generate { ignore_eos: true, ..request(Some(SUMMARIZE), &text, n_answer) }
}

pub(super) fn to_copy(n: usize, n_answer: u32) -> Vec<Generate> {
    let text = |at: usize| TO_COPY[at % TO_COPY.len()].replace("{}", &(at + 2).to_string());
    (n * N_SHORT..).take(N_SHORT).map(|at| request(Some(REPEAT), &text(at), n_answer)).collect()
}

pub(super) fn to_answer(n: usize, n_answer: u32) -> Vec<Generate> {
    let text = |at: usize| format!("What is {}?", THINGS[at % THINGS.len()]);
    (n * N_SHORT..).take(N_SHORT).map(|at| request(Some(ANSWER), &text(at), n_answer)).collect()
}

pub(super) fn instruction(n: usize, n_tokens: usize) -> String {
    format!(
        "{SUMMARIZE} Know this about the project. {}",
        material(n, n_tokens.saturating_sub(20) / N_TOKENS_A_SENTENCE)
    )
}

/// A short text of its own behind an instruction, and a single token of the answer.
pub(super) fn behind(instruction: Option<&str>, n: usize) -> Generate {
    Generate { ignore_eos: true, ..request(instruction, &material(n, 2), 1) }
}

/// Greedy, and one token after the other unless somebody asks for more.
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

/// So many sentences, none of which is said twice or in another text.
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
