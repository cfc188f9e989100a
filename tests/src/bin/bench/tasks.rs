//! The requests for both sides. All texts are about software, because the speed models are made from a small model that
//! has seen little else. Its answers to these requests were checked; for other models they are tasks like any others.

use beast_protocol::{Generate, Speculation};
use beast_tests::samples;

use crate::{ask::greedy, words::Words};

/// Longer than any answer, except from a model that repeats itself.
const N_ANSWER: u32 = 64;

/// Asks for a corrected text, so that the answer copies most of the prompt. cub repeats a sentence of 20 to 30
/// tokens; prompt lookup drafts 95 % of them, measured on 24 such texts.
pub fn copying(words: &mut Words) -> Generate {
    greedy(samples::instructed("fix", &program(words)), N_ANSWER)
}

/// Asks for a summary of such a text.
pub fn summary(words: &mut Words) -> Generate {
    greedy(samples::instructed("summarize", &program(words)), N_ANSWER)
}

/// Asks for a summary of a text of `n_words` words; the answer is cancelled early.
pub fn long_summary(words: &mut Words, n_words: usize) -> Generate {
    let text = words.text(n_words);
    greedy(Generate { ignore_eos: true, ..samples::instructed("summarize", &text) }, N_ANSWER)
}

/// Asks what something is. The answer shares only the name with the question: prompt lookup drafts nothing right,
/// checked for all of [`TERMS`].
pub fn question(term: &str) -> Generate {
    greedy(samples::instructed("ask", &format!("What is {term}?")), N_ANSWER)
}

/// The same question in words that make the model less certain: 3 of 4 drafts of its draft model are right with the
/// first wording, 9 of 10 with the second. With that of [`question`] all are right, which is unrealistic.
pub fn harder_question(nth: usize, term: &str) -> Generate {
    let text = match nth % 2 {
        0 => format!("What does the word {term} mean?"),
        _ => format!("Can you tell me what {term} means?"),
    };
    greedy(samples::instructed("ask", &text), N_ANSWER)
}

/// Asks for the commit message of a diff of four added lines.
pub fn commit_message(words: &mut Words, n_tokens: u32) -> Generate {
    let function = format!("{}_{}", words.pick(&VERBS), words.pick(&NOUNS));
    greedy(Generate { ignore_eos: true, ..samples::commit_msg(&samples::diff(&function, 1)) }, n_tokens)
}

/// The same request with another way of drafting.
pub fn guessing(question: &Generate, speculation: Speculation) -> Generate {
    Generate { speculation, ..question.clone() }
}

/// Terms that the model knows: each yields an answer of 10 to 19 tokens without repetition.
pub const TERMS: [&str; 20] = [
    "sdk",
    "generator",
    "lock",
    "integration test",
    "data structure",
    "rebase",
    "library",
    "top",
    "test coverage",
    "nfs",
    "utf-8",
    "erlang",
    "python",
    "postgresql",
    "token",
    "lambda",
    "generics",
    "array",
    "unix socket",
    "repository",
];

/// Describes a program in a long and a short sentence, in one of thousands of ways, so that no answer helps with the
/// next.
fn program(words: &mut Words) -> String {
    let clauses = [words.pick(&BEGINNINGS), words.pick(&MIDDLES), words.pick(&ENDS)];
    let [beginning, middle, end] = clauses;
    format!("The {} {beginning}, {middle}, and {end}. {}", words.pick(&PROGRAMS), words.pick(&REMARKS))
}

const PROGRAMS: [&str; 16] = [
    "server",
    "installer",
    "scheduler",
    "parser",
    "compiler",
    "library",
    "daemon",
    "editor",
    "package manager",
    "backup program",
    "mail reader",
    "search engine",
    "web proxy",
    "file system",
    "database",
    "test runner",
];

const BEGINNINGS: [&str; 8] = [
    "reads the list of waiting requests",
    "copies the programs to the chosen folder",
    "keeps a table of all open files",
    "opens the archive that the user has named",
    "collects the messages of every running process",
    "looks for changed files in the working directory",
    "sends the encrypted data over a local socket",
    "writes a copy of each record to disk",
];

const MIDDLES: [&str; 8] = [
    "sorts them by the time of their arrival",
    "checks the sums of all downloaded parts",
    "removes what nobody has used for a month",
    "prints the size and the date of every entry",
    "compares them with the last known version",
    "stores the result in a compressed log file",
    "converts the names to lower case letters",
    "asks the network for the missing blocks",
];

const ENDS: [&str; 8] = [
    "starts the next job in the background",
    "returns a short report to the caller",
    "waits until the other side has answered",
    "deletes the temporary files at the end",
    "shows a warning when the disk is full",
    "closes the connection after ten minutes",
    "builds an index for later searches",
    "restarts itself when the power fails",
];

const REMARKS: [&str; 5] = [
    "It needs no other program.",
    "Errors are written to the log.",
    "It runs on Linux.",
    "The user may stop it at any time.",
    "It was written for small machines.",
];

const VERBS: [&str; 8] = ["read", "parse", "load", "check", "write", "print", "send", "count"];
const NOUNS: [&str; 8] = ["config", "header", "table", "record", "packet", "folder", "socket", "report"];

#[cfg(test)]
#[path = "tasks_tests.rs"]
mod tests;
