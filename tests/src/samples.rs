//! Texts and requests. They are all about software, because the built-in model has seen little else.

use beast_protocol::{Generate, Message, Role, Sampling};
use serde_json::{Value, json};

use crate::project;

/// A short text to summarize.
pub const TEXT: &str = "Redis is a server that keeps data in memory. It stores strings, lists, sets and hashes, answers over \
    a simple protocol, and writes its data to disk from time to time so that a restart loses little of it.\n";

/// A diff that adds a function of `n_lines` lines, about 17 tokens each.
///
/// Whatever its length, the model is certain of the subject line: even at temperature 1, nine of ten answers are the
/// same. So nothing depends on rounding, which differs with the size of a batch and the CPU.
pub fn diff(function: &str, n_lines: usize) -> String {
    let lines: String = (0..n_lines).map(|n| format!("+    value_{n} = read(path, {n})\n")).collect();
    format!(
        "diff --git a/src/config.py b/src/config.py\n--- a/src/config.py\n+++ b/src/config.py\n@@ -3,3 +3,{} @@ import os\n \
         def load(path):\n     return open(path).read()\n \n+def {function}(path):\n{lines}+    return value_0\n+\n",
        n_lines + 6
    )
}

/// The subject line that the model writes for [`diff`].
pub fn subject(function: &str) -> String {
    format!("Add {function} function")
}

/// A text of `n_sentences` different sentences of about ten tokens each.
pub fn document(n_sentences: usize) -> String {
    const THINGS: [&str; 7] = ["parser", "server", "index", "cache", "driver", "package", "module"];
    const DEEDS: [&str; 5] = ["was renamed", "is faster now", "was removed", "reads less data", "has a new test"];
    let sentence = |n: usize| format!("In change {n} the {} {}. ", THINGS[n % 7], DEEDS[n % 5]);
    (1..=n_sentences).map(sentence).collect()
}

/// A text of at least `n_bytes` bytes, in paragraphs of different sentences. Its words are long and single tokens of
/// the built-in model: per byte it costs a third of what [`document`] does.
pub fn book(n_bytes: usize) -> String {
    const KINDS: [&str; 7] =
        ["additional", "available", "distributed", "different", "multiple", "standard", "specified"];
    const THINGS: [&str; 11] = [
        "application",
        "authentication",
        "configuration",
        "database",
        "documentation",
        "environment",
        "implementation",
        "installation",
        "network",
        "repository",
        "software",
    ];
    const MANNERS: [&str; 4] = ["automatically", "currently", "directly", "usually"];
    const DEEDS: [&str; 6] = ["provides", "describes", "generates", "includes", "requires", "supports"];
    const PARTS: [&str; 13] = [
        "component",
        "connection",
        "development",
        "directory",
        "framework",
        "information",
        "interface",
        "management",
        "performance",
        "processing",
        "security",
        "structure",
        "version",
    ];
    let mut text = String::with_capacity(n_bytes + 200);
    for n in 0.. {
        if text.len() >= n_bytes {
            break;
        }
        // The lengths have no common divisor, so sentences repeat only after a long time.
        let (kind, thing, manner, deed) = (KINDS[n % 7], THINGS[n % 11], MANNERS[n / 7 % 4], DEEDS[n / 11 % 6]);
        let (part, other) = (PARTS[n % 13], PARTS[n / 13 % 13]);
        text += &format!("The {kind} {thing} {manner} {deed} {part} {other}.");
        text += if n % 6 == 5 { "\n\n" } else { " " };
    }
    text
}

/// A request with this text as the user's turn, greedy, as the built-in model requires.
pub fn ask(text: &str) -> Generate {
    let message = Message::new(Role::User, text);
    Generate { messages: vec![message], ..Generate::default() }
}

/// A request for the subject line of a diff, as `beastctl commit-msg` makes it.
pub fn commit_msg(diff: &str) -> Generate {
    instructed("commit-msg", diff)
}

/// A request as `beastctl` makes it from a built-in prompt.
pub fn instructed(prompt: &str, text: &str) -> Generate {
    let prompt =
        std::fs::read_to_string(project(&format!("beastctl/prompts/{prompt}.md"))).expect("the prompt is there");
    let system = prompt.rsplit("---\n").next().expect("a prompt has text").trim();
    let message = |role, content: &str| Message::new(role, content);
    Generate { messages: vec![message(Role::System, system), message(Role::User, text)], ..Generate::default() }
}

/// A request for exactly `n` tokens: sampled almost at random, so that nearly every one yields text, and with
/// end-of-turn tokens ignored. A thousand take seconds.
pub fn babble(n: u32) -> Generate {
    Generate { max_tokens: Some(n), ignore_eos: true, sampling: at_random(), ..ask("Tell me everything.") }
}

/// The same for `beastctl`, which cannot ignore end-of-turn tokens: with this seed none occurs for a thousand tokens.
pub const BABBLE: [&str; 12] =
    ["ask", "Tell me everything.", "--temp", "5", "--top-k", "0", "--top-p", "1", "--min-p", "0", "--seed", "8"];

fn at_random() -> Sampling {
    Sampling {
        temp: Some(5.0),
        top_p: Some(1.0),
        top_k: Some(0),
        min_p: Some(0.0),
        seed: Some(1),
        ..Sampling::default()
    }
}

/// The body of `/v1/chat/completions` with this text as the user's turn.
pub fn chat(text: &str) -> Value {
    json!({ "messages": [{ "role": "user", "content": text }] })
}

/// The same for exactly `n` tokens, like [`babble`] on the socket.
pub fn chat_babble(n: u32) -> Value {
    let mut body = chat("Tell me everything.");
    for (name, value) in [("max_tokens", n), ("temperature", 2), ("top_k", 0), ("top_p", 1), ("min_p", 0), ("seed", 1)]
    {
        body[name] = value.into();
    }
    body["ignore_eos"] = true.into();
    body
}

/// The same as a stream.
pub fn streamed(mut body: Value) -> Value {
    body["stream"] = true.into();
    body
}
