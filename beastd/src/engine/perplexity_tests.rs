//! The perplexity of real texts with our kernels beside that with llama.cpp's own, for each instruction set. Kernels are
//! chosen once per process, so each set has a process of its own: this program again, with this test alone.
//!
//! `BEAST_TEST_MODEL=FILE cargo test --release --workspace --lib perplexity -- --nocapture` takes another model than the
//! built-in one, `BEAST_TEST_KV=q8_0` another KV cache for ours, and `BEAST_TEST_TOKENS=16384` one text of that length,
//! all documentation, in large chunks only.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::engine::kernels;
use crate::engine::model::load;
use crate::engine::{ModelOptions, log_to_tracing};

const N_TOKENS: usize = 1000;
const TEXTS: [&str; 3] = ["README.md", "docs/manual.md", "docs/decisions/15-own-kernels.md"];
/// Chunks for tiles, and for what computes a few columns.
const CHUNKS: [usize; 2] = [500, 3];
/// The largest difference of the mean log-probability of a text that rounding explains: 0.005 was observed, and 0.003
/// between chunks of both sizes with llama.cpp's kernels.
const ROUNDING: f64 = 0.01;
/// Greedy text may part where two tokens are closer than this.
const TIE: f32 = 0.5;
const SET: &str = "BEAST_TEST_INSTRUCTION_SET";
const KV: &str = "BEAST_TEST_KV";
const TOKENS: &str = "BEAST_TEST_TOKENS";
const CHILD: &str = "BEAST_TEST_PERPLEXITY";

/// What one process found, in the order of the texts, for each size of chunks.
#[derive(Debug, Default)]
struct Found {
    /// Mean negative log-probability of a token.
    nll: Vec<f64>,
    /// The likeliest token at each position, and its distance to the second.
    best: Vec<Vec<(usize, f32)>>,
}

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The length of one long text, if that is wanted.
fn n_long() -> Option<usize> {
    env::var(TOKENS).ok().map(|n| n.parse().expect("a number of tokens"))
}

fn texts() -> Vec<Vec<u8>> {
    let read = |path: PathBuf| std::fs::read(path).expect("it is there");
    if n_long().is_none() {
        return TEXTS.iter().map(|text| read(project(text))).collect();
    }
    let files =
        |folder| std::fs::read_dir(project(folder)).expect("it is there").map(|file| file.expect("a file").path());
    let mut pages: Vec<_> = files("docs").chain(files("docs/decisions")).filter(|path| path.is_file()).collect();
    pages.sort();
    vec![pages.into_iter().flat_map(read).collect()]
}

fn chunks() -> &'static [usize] {
    if n_long().is_some() { &CHUNKS[..1] } else { &CHUNKS }
}

/// The likeliest token of a row, its distance to the second, and the negative log-probability of `next`.
fn read(logits: &[f32], next: Token) -> (usize, f32, f64) {
    let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).expect("a vocabulary");
    let rest = logits.iter().enumerate().filter(|(n, _)| *n != best).map(|(_, logit)| *logit);
    let gap = logits[best] - rest.fold(f32::MIN, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - logits[best]).exp()).sum();
    (best, gap, sum.ln() - f64::from(logits[usize::try_from(next.0).expect("a token")] - logits[best]))
}

fn perplexity(engine: &mut LlamaEngine<'_>, tokens: &[Token], chunk: usize, found: &mut Found) {
    let (mut nll, mut all) = (0.0, Vec::new());
    for start in (0..tokens.len() - 1).step_by(chunk) {
        let end = (start + chunk).min(tokens.len() - 1);
        engine.batch.clear();
        for (pos, token) in (start..end).zip(&tokens[start..end]) {
            let pos = i32::try_from(pos).expect("few");
            engine.batch.add(LlamaToken(token.0), pos, &[0], true).expect("there is room");
        }
        engine.context.decode(&mut engine.batch).expect("there is room");
        for n in start..end {
            let logits = engine.context.get_logits_ith(i32::try_from(n - start).expect("few"));
            let (best, gap, one) = read(logits, tokens[n + 1]);
            all.push((best, gap));
            nll += one;
        }
    }
    engine.edit(&[KvEdit::Clear(SlotId(0))]).expect("a whole slot can be cleared");
    found.nll.push(nll / all.len() as f64);
    found.best.push(all);
}

/// Measures in this process, and prints what `measured` reads.
fn print(set: &str) {
    log_to_tracing();
    let path = env::var("BEAST_TEST_MODEL").map_or_else(|_| project("models/cub/cub.gguf"), PathBuf::from);
    let kernels = set != "none";
    let options = ModelOptions { path, device: None, n_gpu_layers: None, mmap: true, repack: false, kernels };
    let model = load(&options, |_| true).expect("the model is there");
    let n_tokens = n_long().unwrap_or(N_TOKENS);
    let types = [crate::engine::KvType::F16, crate::engine::KvType::Q8_0];
    let wanted = env::var(KV).unwrap_or_else(|_| types[0].name().to_owned());
    let kv_type = types.into_iter().find(|kv_type| kv_type.name() == wanted).expect("f16 or q8_0");
    let options = ContextOptions {
        n_cells: n_tokens,
        is_divided: false,
        kv_type,
        n_places: 2,
        n_batch: CHUNKS[0],
        n_ubatch: CHUNKS[0],
        n_threads: 2,
        n_draft: 0,
    };
    let mut engine = LlamaEngine::new(&model, &options).expect("there is memory");
    let mut found = Found::default();
    for &chunk in chunks() {
        for text in texts() {
            let tokens = model.model.vocab().tokenize(&text, true, false);
            let tokens: Vec<Token> = tokens.into_iter().take(n_tokens).map(|token| Token(token.0)).collect();
            perplexity(&mut engine, &tokens, chunk, &mut found);
        }
    }
    let best: Vec<String> = found
        .best
        .iter()
        .map(|text| text.iter().map(|(token, gap)| format!("{token}:{gap}")).collect::<Vec<_>>().join(" "))
        .collect();
    for (nll, best) in found.nll.iter().zip(best) {
        println!("PERPLEXITY {nll} {best}");
    }
}

/// Runs this test in a process with this instruction set, or with llama.cpp's kernels.
fn measured(set: &str) -> Found {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args([
        "--exact",
        "engine::llama::perplexity_tests::perplexity_is_that_of_llama_cpps_kernels",
        "--nocapture",
    ]);
    command.env(CHILD, set).env(SET, set);
    if set == "none" {
        command.env_remove(SET).env_remove(KV);
    }
    let output = command.output().expect("this program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut found = Found::default();
    for line in text.lines().filter_map(|line| line.split_once("PERPLEXITY ").map(|(_, line)| line)) {
        let mut words = line.split(' ');
        found.nll.push(words.next().expect("a number").parse().expect("a number"));
        let pair = |word: &str| {
            let (token, gap) = word.split_once(':').expect("a token and its distance");
            (token.parse().expect("a token"), gap.parse().expect("a distance"))
        };
        found.best.push(words.map(pair).collect());
    }
    assert_eq!(found.nll.len(), texts().len() * chunks().len(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    found
}

#[test]
fn perplexity_is_that_of_llama_cpps_kernels() {
    if let Ok(set) = env::var(CHILD) {
        return print(&set);
    }
    let Some(best) = kernels::instruction_set() else {
        return beast_tests::skip("this CPU has no kernels of ours");
    };
    let theirs = measured("none");
    let sets = beast_kernels::InstructionSet::ALL.iter().map(|set| set.name());
    for set in sets.skip_while(|set| *set != best) {
        let ours = measured(set);
        let pairs = |found: &Found| {
            found.nll.clone().into_iter().map(f64::exp).map(|one| format!("{one:.3}")).collect::<Vec<_>>()
        };
        eprintln!("{set}: perplexity {:?}, llama.cpp's kernels {:?}", pairs(&ours), pairs(&theirs));
        for (a, b) in ours.nll.iter().zip(&theirs.nll) {
            assert!((a - b).abs() < ROUNDING, "{set}: {a} and {b}");
        }
        for (a, b) in ours.best.iter().zip(&theirs.best) {
            for (n, ((a, gap), (b, other))) in a.iter().zip(b).enumerate() {
                assert!(a == b || gap.min(*other) < TIE, "{set}: another token at {n}, ahead by {gap} and {other}");
            }
        }
    }
}
