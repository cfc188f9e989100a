//! Random tools, the built-in model at a high temperature, every format: each call is well formed and satisfies its
//! schema.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use beast_protocol::{Delta, Function, Generate, Message, Role, Sampling, ToolChoice, Tools};
use beast_tests::dice::Dice;
use beast_tests::gguf::Gguf;
use serde_json::{Map, Value, json};

use super::*;
use crate::admitted::Admitted;
use crate::batch::{Batch, KvEdit, Row, SeqId, SlotId};
use crate::engine::{
    ContextOptions, Engine, LlamaEngine, LlamaVocab, LoadedModel, ModelOptions, Vocab, load, log_to_tracing,
};
use crate::sampling::SamplingDefaults;
use crate::template::ChatTemplate;

const PLAIN: &str = "{{ bos_token }}{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n";

/// A template for each format, and one without any.
fn templates() -> Vec<String> {
    let markers = [
        "",
        "<tool_call>",
        "<|tool_call_start|>",
        "[TOOL_CALLS]",
        "[TOOL_CALLS][ARGS]",
        "<|python_tag|>",
        "<tool_call><think>",
    ];
    let write = |marker: &&str| match *marker {
        "" => PLAIN.to_owned(),
        marker => format!("{{# {marker} #}}{{% if tools %}}{{{{ tools | tojson }}}}{{% endif %}}{PLAIN}"),
    };
    markers.iter().map(write).collect()
}

/// Generates random tools.
struct Author(Dice);

impl Author {
    fn name(&mut self) -> String {
        const NAMES: [&str; 8] = ["get", "get_x", "city", "class", "n", "unit_2", "Deep", "x"];
        format!("{}_{}", NAMES[self.0.below(8)], self.0.below(100))
    }

    fn schema(&mut self, depth: usize) -> Value {
        match self.0.below(if depth > 2 { 6 } else { 9 }) {
            0 => json!({ "type": "string", "maxLength": 8 }),
            1 => json!({ "enum": ["a", "it's", "say \"x\"", 3, null, true] }),
            2 => json!({ "type": "integer", "minimum": -5, "maximum": 120 }),
            3 => json!({ "type": "number", "minimum": 0, "maximum": 10 }),
            4 => json!({ "type": "boolean" }),
            5 => json!({ "type": ["string", "null"], "maxLength": 4 }),
            6 => {
                json!({ "type": "array", "items": self.schema(depth + 1), "minItems": self.0.below(2), "maxItems": 3 })
            }
            7 => json!({ "anyOf": [{ "type": "integer", "minimum": 0, "maximum": 9 }, { "type": "boolean" }] }),
            _ => self.object(depth + 1),
        }
    }

    fn object(&mut self, depth: usize) -> Value {
        let mut properties = Map::new();
        for _ in 0..self.0.below(4) {
            let (name, schema) = (self.name(), self.schema(depth));
            properties.insert(name, schema);
        }
        let required: Vec<String> = properties.keys().filter(|_| self.0.below(2) == 0).cloned().collect();
        json!({ "type": "object", "properties": properties, "required": required })
    }

    fn tools(&mut self, choice: ToolChoice) -> Tools {
        let mut functions: Vec<Function> = Vec::new();
        for n in 0..=self.0.below(4) {
            let parameters = self.object(0).to_string();
            functions.push(Function { name: format!("{}-{n}", self.name()), description: "x".into(), parameters });
        }
        Tools { functions, choice, only_one: self.0.below(2) == 0 }
    }
}

fn satisfies(value: &Value, schema: &Value) -> bool {
    if let Some(values) = schema["enum"].as_array() {
        return values.contains(value);
    }
    if let Some(schemas) = schema["anyOf"].as_array() {
        return schemas.iter().any(|schema| satisfies(value, schema));
    }
    let is = |kind: &Value| match kind.as_str() {
        Some("string") => {
            let longest = schema["maxLength"].as_u64().unwrap_or(u64::MAX);
            value.as_str().is_some_and(|text| text.chars().count() as u64 <= longest)
        }
        Some("integer" | "number") => {
            // JSON Schema counts `-0` as an integer.
            let is_whole = kind == "number" || value.as_f64().is_some_and(|n| n.fract() == 0.0);
            let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
            value.as_f64().is_some_and(|n| is_whole && least.is_none_or(|m| n >= m) && most.is_none_or(|m| n <= m))
        }
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("array") => value.as_array().is_some_and(|items| {
            let n = items.len() as u64;
            n >= schema["minItems"].as_u64().unwrap_or(0)
                && n <= schema["maxItems"].as_u64().unwrap_or(n)
                && items.iter().all(|item| satisfies(item, &schema["items"]))
        }),
        Some("object") => value.as_object().is_some_and(|entries| {
            let required = schema["required"].as_array().expect("ours has one");
            required.iter().all(|key| entries.contains_key(key.as_str().expect("a name")))
                && entries
                    .iter()
                    .all(|(key, value)| schema["properties"].get(key).is_some_and(|schema| satisfies(value, schema)))
        }),
        _ => panic!("{schema}"),
    };
    schema["type"].as_array().map_or_else(|| is(&schema["type"]), |kinds| kinds.iter().any(is))
}

fn cub() -> PathBuf {
    beast_tests::project("models/cub/cub.gguf")
}

fn load_model(path: PathBuf) -> Arc<LoadedModel> {
    log_to_tracing();
    let options = ModelOptions { path, device: None, n_gpu_layers: None, mmap: true, repack: false, kernels: true };
    Arc::new(load(&options, |_| true).expect("a sound model"))
}

/// The model's answer as the stream would show it, and whether the model ended it.
fn generate(engine: &mut LlamaEngine<'_>, vocab: &dyn Vocab, seq: SeqId, admitted: Admitted) -> (String, bool) {
    let (slot, mut pos) = (SlotId(0), 0);
    engine.edit(&[KvEdit::Clear(slot)]).expect("an edit");
    engine.arm(seq, &admitted.sampling, None);
    engine.constrain(seq, admitted.constraint.expect("tools make one"));
    let mut bytes = Vec::new();
    let mut next = admitted.prompt;
    let mut has_ended = false;
    for _ in 0..admitted.n_max_tokens {
        while next.len() > 128 {
            let rest = next.split_off(128);
            let row = Row { seq, slot, pos, tokens: next, n_draft: 0, sample: false };
            engine.step(&Batch { edits: Vec::new(), rows: vec![row] }).expect("room");
            (next, pos) = (rest, pos + 128);
        }
        let n = u32::try_from(next.len()).expect("short");
        let row = Row { seq, slot, pos, tokens: next, n_draft: 0, sample: true };
        let token = engine.step(&Batch { edits: Vec::new(), rows: vec![row] }).expect("room")[0].tokens[0];
        pos += n;
        if vocab.is_end(token) {
            has_ended = true;
            break;
        }
        match admitted.shown.iter().find(|(control, _)| *control == token) {
            Some((_, text)) => bytes.extend(text.bytes()),
            None => vocab.piece(token, &mut bytes),
        }
        next = vec![token];
    }
    engine.disarm(seq);
    (String::from_utf8_lossy(&bytes).into_owned(), has_ended)
}

/// The calls of an answer, with their arguments' text.
fn calls(mut parser: AnswerParser, answer: &str) -> Vec<(String, String)> {
    let mut calls: Vec<(String, String)> = Vec::new();
    for delta in [parser.push(answer), parser.finish()].concat() {
        match delta {
            Delta::Call { name, .. } => calls.push((name, String::new())),
            Delta::Arguments { text, .. } => calls.last_mut().expect("a call").1 += &text,
            Delta::Text(_) | Delta::Reasoning(_) => {}
        }
    }
    calls
}

/// Counts of one thread's cases.
#[derive(Default)]
struct Tally {
    n_cases: u64,
    n_ended: u64,
    n_calls: u64,
}

/// An engine, and an [`Admission`] for each format.
struct Bench<'model> {
    vocab: Arc<dyn Vocab>,
    engine: LlamaEngine<'model>,
    admissions: Vec<Admission>,
    tally: Tally,
}

impl<'model> Bench<'model> {
    fn new(model: &'model Arc<LoadedModel>) -> Self {
        let vocab: Arc<dyn Vocab> = Arc::new(LlamaVocab::new(Arc::clone(model)));
        let options = ContextOptions {
            n_cells: 8192,
            is_divided: false,
            kv_type: crate::engine::KvType::F16,
            n_places: 4,
            n_batch: 128,
            n_ubatch: 128,
            n_threads: 1,
            n_draft: 0,
        };
        let defaults = SamplingDefaults {
            temp: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repeat_penalty: 1.0,
            ..SamplingDefaults::OURS
        };
        let admission = |source: &String| {
            let template = ChatTemplate::new(source, vocab.bos_text(), vocab.eos_text(), &vocab.special_texts());
            Admission::new(Arc::clone(&vocab), Some(template.expect("Jinja")), defaults, 8192, 250)
        };
        let admissions = templates().iter().map(admission).collect();
        let engine = LlamaEngine::new(model, &options).expect("memory");
        Self { vocab, engine, admissions, tally: Tally::default() }
    }

    fn try_case(&mut self, case: u64) {
        let mut author = Author(Dice::new(case));
        let admission = &self.admissions[usize::try_from(case).expect("few") % self.admissions.len()];
        let is_auto = author.0.below(4) == 0;
        let tools = author.tools(if is_auto { ToolChoice::Auto } else { ToolChoice::Required });
        let sampling =
            Sampling { temp: Some([0.7, 1.0, 1.5][author.0.below(3)]), seed: Some(7), ..Sampling::default() };
        let messages = vec![Message::new(Role::User, format!("What is the weather in Oslo? {case}"))];
        let request = Generate { messages, tools: tools.clone(), sampling, ..Generate::default() };
        let (mut admitted, _) = admission.admit(&request).unwrap_or_else(|error| panic!("{case}: {error:?} {tools:?}"));
        let parser = admitted.parser.take().expect("tools make one");
        let (answer, has_ended) = generate(&mut self.engine, &*self.vocab, SeqId(case), admitted);
        let found = calls(parser, &answer);
        let shown = format!("case {case}: {answer:?}\n{tools:#?}");
        for (n, (name, arguments)) in found.iter().enumerate() {
            let n_digits = arguments.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
            assert!(n_digits.is_none_or(|n| n <= 20), "{arguments} {shown}");
            if !has_ended && n + 1 == found.len() {
                continue;
            }
            let function = tools.functions.iter().find(|function| function.name == *name).expect(&shown);
            let value: Value = serde_json::from_str(arguments).unwrap_or_else(|error| panic!("{error} {shown}"));
            let schema: Value = serde_json::from_str(&function.parameters).expect("ours is JSON");
            assert!(satisfies(&value, &schema), "{arguments} {shown}");
            self.tally.n_calls += 1;
        }
        assert!(!has_ended || is_auto || !found.is_empty(), "{shown}");
        assert!(!tools.only_one || found.len() <= 1, "{shown}");
        self.tally.n_ended += u64::from(has_ended);
        self.tally.n_cases += 1;
    }
}

/// Runs `BEAST_TOOL_CASES` random cases, starting with case `BEAST_TOOL_FIRST`, on all cores.
fn try_tools_on(path: PathBuf) {
    try_some_tools_on(path, 21);
}

fn try_some_tools_on(path: PathBuf, n_usual: u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let n_cases: u64 = number("BEAST_TOOL_CASES").unwrap_or(n_usual);
    let first: u64 = number("BEAST_TOOL_FIRST").unwrap_or(0);
    let model = load_model(path);
    let next = AtomicU64::new(first);
    let work = || {
        let mut bench = Bench::new(&model);
        loop {
            let case = next.fetch_add(1, Ordering::Relaxed);
            if case >= first + n_cases {
                return bench.tally;
            }
            bench.try_case(case);
        }
    };
    let all = std::thread::scope(|scope| {
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(work)).collect();
        let add = |all: Tally, tally: Tally| Tally {
            n_cases: all.n_cases + tally.n_cases,
            n_ended: all.n_ended + tally.n_ended,
            n_calls: all.n_calls + tally.n_calls,
        };
        threads.into_iter().map(|thread| thread.join().expect("no case failed")).fold(Tally::default(), add)
    });
    println!("{} cases, {} came to an end, {} calls", all.n_cases, all.n_ended, all.n_calls);
    assert!(all.n_calls > n_cases / 4 && all.n_ended > n_cases / 4, "{} calls, {} ended", all.n_calls, all.n_ended);
}

#[test]
fn whatever_the_tools_and_the_format_each_call_satisfies_its_schema() {
    try_tools_on(cub());
}

/// As in the families' own vocabularies, where each marker is one token.
#[test]
fn whatever_the_tools_markers_that_are_control_tokens_make_sound_calls() {
    let markers = [
        "<|tool_call_start|>",
        "<|tool_call_end|>",
        "<tool_call>",
        "</tool_call>",
        "[TOOL_CALLS]",
        "[ARGS]",
        "<|python_tag|>",
        "<think>",
        "</think>",
    ];
    try_tools_on_variant(cub(), |model| model.with_control_tokens(&markers));
}

/// Runs the cases on a modified copy of the model file.
fn try_tools_on_variant(path: PathBuf, change: impl FnOnce(Gguf) -> Gguf) {
    let bytes = std::fs::read(path).expect("it was found");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("variant.gguf");
    std::fs::write(&path, change(Gguf::parse(&bytes)).bytes()).expect("room");
    try_tools_on(path);
}

#[test]
fn whatever_the_tools_a_foreign_model_makes_sound_calls() {
    if let Some(path) = beast_tests::foreign_model() {
        // One case per format: this model is slow.
        try_some_tools_on(path, 7);
    }
}

/// The test needs the foreign vocabulary, not a capable model: with two layers it runs fifteen times as fast.
#[test]
fn whatever_the_tools_a_foreign_vocabulary_makes_sound_calls() {
    if let Some(path) = beast_tests::foreign_model() {
        try_tools_on_variant(path, |model| model.with_layers(2));
    }
}
