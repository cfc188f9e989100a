//! Damages models according to a seed, and checks that a daemon survives them: the same seed yields the same damage.
//!
//! Knows the format and the protocol; never knows which checks the daemon makes.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use beast_protocol::{Event, Generate, Request};

use crate::dice::Dice;
use crate::gguf::{Gguf, I32, U32, Value};
use crate::{Beast, Client, Home, samples};

/// A number at the limits that programs expect, or any other.
fn edge(dice: &mut Dice) -> u64 {
    let any = dice.number();
    let around = [0, 1, 2, 7, 512, 513, (1 << 31) - 1, 1 << 31, u64::from(u32::MAX), 1 << 40, 1 << 63, u64::MAX];
    if dice.below(4) == 0 { any } else { dice.one_of(&around) }
}

/// Damages a model; also returns a description of the damage.
pub fn damaged(original: &Gguf, seed: u64) -> (String, Vec<u8>) {
    let mut dice = Dice::new(seed);
    match dice.below(12) {
        0 | 1 => file(original.bytes(), &mut dice),
        kind => {
            let mut model = original.clone();
            let what = match kind {
                2..=4 => metadata(&mut model, &mut dice),
                5 | 6 => tensor(&mut model, &mut dice),
                7 | 8 => vocabulary(&mut model, &mut dice),
                9 => template(&mut model, &mut dice),
                _ => weights(&mut model, &mut dice),
            };
            (what, model.bytes())
        }
    }
}

/// Damages the bytes without parsing them: truncation, the header, flipped bytes.
fn file(mut bytes: Vec<u8>, dice: &mut Dice) -> (String, Vec<u8>) {
    let what = match dice.below(5) {
        0 => {
            // Most of the header is the vocabulary, and most of the file is weights.
            let reach = dice.one_of(&[64, 4096, bytes.len() / 20, bytes.len()]);
            bytes.truncate(dice.below(reach));
            format!("cut to {} bytes", bytes.len())
        }
        1 => {
            let version = dice.one_of(&[0, 1, 2, 4, 0x0300_0000, u32::MAX]);
            bytes[4..8].copy_from_slice(&version.to_le_bytes());
            format!("version {version}")
        }
        2 => {
            let (at, n) = (dice.one_of(&[8, 16]), edge(dice));
            bytes[at..at + 8].copy_from_slice(&n.to_le_bytes());
            format!("count at {at} is {n}")
        }
        _ => {
            let reach = dice.one_of(&[200, 4096, bytes.len() / 20]);
            let n = 1 + dice.below(8);
            for _ in 0..n {
                let at = 8 + dice.below(reach);
                bytes[at] = dice.number() as u8;
            }
            format!("{n} bytes among the first {reach}")
        }
    };
    (what, bytes)
}

fn metadata(model: &mut Gguf, dice: &mut Dice) -> String {
    let at = dice.below(model.metadata.len());
    // Numbers matter more to a program than names.
    let numbers: Vec<_> =
        (0..model.metadata.len()).filter(|&at| matches!(model.metadata[at].1, Value::Scalar(..))).collect();
    let at = if dice.below(3) > 0 { dice.one_of(&numbers) } else { at };
    let (key, value) = &mut model.metadata[at];
    let key = key.clone();
    match dice.below(4) {
        0 => {
            model.metadata.remove(at);
            format!("no {key}")
        }
        1 => {
            *value = match dice.below(4) {
                0 => Value::text("x"),
                1 => Value::Array(U32, vec![Value::u32(1); dice.below(600)]),
                2 => Value::Scalar(10, edge(dice).to_le_bytes().to_vec()),
                _ => Value::f32(dice.one_of(&[f32::NAN, -1.0, 0.0, f32::INFINITY, 1e38])),
            };
            format!("another type for {key}")
        }
        _ => {
            if let Value::Scalar(_, bytes) = value {
                let float = dice.one_of(&[f32::NAN, -1.0, 0.0, f32::NEG_INFINITY, 1e-40]).to_le_bytes();
                let n = edge(dice).to_le_bytes();
                let n_bytes = bytes.len();
                let is_float = dice.below(3) == 0 && n_bytes == 4;
                bytes.copy_from_slice(if is_float { &float } else { &n[..n_bytes] });
            } else {
                *value = Value::text(dice.one_of(&["", "llama", "no_vocab", "bert", "mamba", "\u{0}", "t5", "rwkv"]));
            }
            format!("{key} is {:?}", model.metadata[at].1).chars().take(120).collect()
        }
    }
}

fn tensor(model: &mut Gguf, dice: &mut Dice) -> String {
    let at = dice.below(model.tensors.len());
    let tensor = &mut model.tensors[at];
    let name = tensor.name.clone();
    match dice.below(6) {
        0 => {
            let dim = dice.below(tensor.dims.len());
            tensor.dims[dim] = edge(dice);
            format!("{name} has dimensions {:?}", tensor.dims)
        }
        1 => {
            tensor.dims = vec![1 + edge(dice) % 64; dice.below(6)];
            format!("{name} has dimensions {:?}", tensor.dims)
        }
        2 => {
            tensor.kind = dice.one_of(&[0, 1, 2, 8, 12, 15, 24, 30, 39, 99, u32::MAX]);
            format!("{name} is of type {}", tensor.kind)
        }
        3 => {
            tensor.offset = dice.one_of(&[1, 32, tensor.offset + 1, 1 << 40, u64::MAX, u64::MAX - 31]);
            format!("{name} lies at {}", tensor.offset)
        }
        4 => {
            tensor.name = dice.one_of(&["x", "", "output.weight", "token_embd.weight"]).to_owned();
            format!("{name} is called {:?}", tensor.name)
        }
        _ => {
            model.tensors.remove(at);
            format!("no {name}")
        }
    }
}

fn vocabulary(model: &mut Gguf, dice: &mut Dice) -> String {
    if dice.below(4) == 0 {
        let name = dice.one_of(&["bos", "eos", "padding", "unknown", "eot", "eom"]);
        let (key, id) = (format!("tokenizer.ggml.{name}_token_id"), edge(dice) as u32);
        model.set(&key, Value::u32(id));
        return format!("{key} is {id}");
    }
    let key = dice.one_of(&["tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.merges"]);
    let Some(Value::Array(_, items)) = model.get_mut(key) else { return format!("no {key}") };
    let n = items.len();
    let what = match dice.below(6) {
        0 => {
            items.clear();
            "empty".to_owned()
        }
        1 => {
            items.truncate(dice.below(n));
            format!("cut to {}", items.len())
        }
        2 => {
            items.extend_from_within(..n.min(1 + dice.below(9)));
            format!("longer: {}", items.len())
        }
        3 => {
            items[dice.below(n)] = items[dice.below(n)].clone();
            "one twice".to_owned()
        }
        4 => {
            let at = dice.below(n);
            items[at] = match &items[at] {
                Value::Text(_) => dice.one_of(&[Value::text(""), Value::Text(vec![0xff, 0]), Value::text("no merge")]),
                _ => Value::Scalar(I32, (edge(dice) as u32).to_le_bytes().to_vec()),
            };
            format!("other at {at}")
        }
        _ => {
            let at = dice.below(n);
            items[at..].reverse();
            format!("reversed from {at}")
        }
    };
    format!("{key}: {what}")
}

fn template(model: &mut Gguf, dice: &mut Dice) -> String {
    let depth = dice.one_of(&[10, 100, 1000, 20_000, 200_000]);
    let around = |left: &str, right: &str| format!("{{{{ {}x{} }}}}", left.repeat(depth), right.repeat(depth));
    let (what, text) = match dice.below(8) {
        0 => ("parentheses", around("(", ")")),
        1 => ("not", around("not ", "")),
        2 => ("minus", around("-", "")),
        3 => ("filters", around("", "|trim")),
        4 => ("lists", around("[", "]")),
        5 => ("conditions", "{% if x %}".repeat(depth) + &"{% endif %}".repeat(depth)),
        6 => ("attributes", around("", ".x")),
        _ => (
            "garbage",
            (0..depth).map(|_| dice.one_of(&["{%", "%}", "{{", "}}", " for ", "x", "|", "\u{0}"])).collect(),
        ),
    };
    model.set("tokenizer.chat_template", Value::text(&text));
    format!("template of {what}, {depth} deep")
}

/// Overwrites weights: with values that are not numbers, or with arbitrary bytes anywhere.
fn weights(model: &mut Gguf, dice: &mut Dice) -> String {
    let at = dice.below(model.tensors.len());
    let embeddings = model.tensors.iter().position(|tensor| tensor.name == "token_embd.weight");
    let at = embeddings.filter(|_| dice.below(2) == 0).unwrap_or(at);
    let (name, start) = (model.tensors[at].name.clone(), model.tensors[at].offset as usize);
    let later = model.tensors.iter().map(|tensor| tensor.offset as usize).filter(|offset| *offset > start);
    let end = later.min().unwrap_or(model.data.len()).min(model.data.len());
    let data = &mut model.data[start.min(end)..end];
    let n = dice.one_of(&[1, 100, data.len()]);
    for _ in 0..n {
        let at = dice.below(data.len());
        let part = &mut data[at..];
        let n = part.len().min(if n > 100 { 1 } else { 64 });
        part[..n].fill(if n == 1 { dice.number() as u8 } else { 0xff });
    }
    format!("{n} places in {name}")
}

/// The results of a run.
#[derive(Debug, Default)]
pub struct Tally {
    /// Models that were refused with a reason.
    pub n_refused: usize,
    /// Models that were loaded and answered.
    pub n_taken: usize,
    /// Models that the daemon did not survive or finish, with their seeds.
    pub failures: Vec<String>,
}

/// Loads damaged variants of a model into a daemon, whose own model must answer after each as before.
pub fn run(original: &Path, seeds: Range<u64>, mut tell: impl FnMut(u64, &str)) -> Tally {
    let original = Gguf::parse(&std::fs::read(original).expect("the model is there"));
    let question = Generate { max_tokens: Some(4), ..samples::ask(samples::TEXT) };
    let mut beast = Home::new().start(&["model=builtin"]);
    let answer = beast.client().ask(&question).text;
    let mut tally = Tally::default();
    for seed in seeds {
        let (what, bytes) = damaged(&original, seed);
        // A new file each time, since the last one may still be mapped.
        let path = beast.write(&format!("{seed}.gguf"), bytes);
        let outcome = catch_unwind(AssertUnwindSafe(|| outlived(&beast, &path, &question)));
        let _ = std::fs::remove_file(&path);
        let (is_taken, said) = match outcome {
            Ok((is_taken, said, after)) if after == answer => (is_taken, said),
            Ok((_, _, after)) => (false, format!("FAILED: the old model says {after:?} now")),
            Err(_) => (false, "FAILED: the daemon has ended or hangs".to_owned()),
        };
        tell(seed, &format!("{what}: {said}"));
        match said.starts_with("FAILED") {
            true => {
                tally.failures.push(format!("{seed}: {what}: {said}\n{}", beast.stderr()));
                beast.kill();
                beast.restart();
            }
            false if is_taken => tally.n_taken += 1,
            false => tally.n_refused += 1,
        }
    }
    tally
}

/// Whether the model was loaded, what was reported, and the answer of the original model afterwards.
fn outlived(beast: &Beast, model: &Path, question: &Generate) -> (bool, String, String) {
    let load = |model: &str| {
        let mut client = beast.client();
        client.send(&Request::Use { model: model.to_owned() });
        end(&mut client)
    };
    let outcome = load(&model.display().to_string());
    let (is_taken, said) = match outcome {
        Err(reason) => (false, reason),
        Ok(()) => {
            let answer = beast.client().ask(question);
            let said = answer.end.map_or_else(|error| error.message, |_| format!("answers {:?}", answer.text));
            // Otherwise the next request would load the damaged model again.
            load("builtin").expect("the built-in model is sound");
            let mut client = beast.client();
            client.send(&Request::Unload { model: Some(model.display().to_string()) });
            end(&mut client).expect("it is loaded");
            (true, said)
        }
    };
    (is_taken, said, beast.client().ask(question).text)
}

/// Waits until a load ends.
fn end(client: &mut Client) -> Result<(), String> {
    loop {
        match client.event().expect("the daemon answers") {
            Event::Status(_) => return Ok(()),
            Event::Failed(error) => return Err(error.message),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_always_the_same_damage_and_another_another() {
        let bytes = std::fs::read(crate::project("models/cub/cub.gguf")).expect("it is part of the project");
        let cub = Gguf::parse(&bytes);
        let all: Vec<_> = (0..40).map(|seed| damaged(&cub, seed)).collect();
        let again = (0..40).map(|seed| damaged(&cub, seed));
        assert!(all.iter().cloned().eq(again));
        assert!(all.iter().filter(|(_, damaged)| *damaged == bytes).count() <= 2, "hardly any is none");
        let kinds: std::collections::BTreeSet<_> = all.iter().map(|(what, _)| what).collect();
        assert!(kinds.len() >= 35, "{kinds:?}");
    }
}
