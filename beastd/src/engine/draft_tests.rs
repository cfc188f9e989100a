//! The built-in draft model beside the built-in model: what it computes, and that cached prefixes change no draft.

use std::path::Path;

use super::*;
use crate::engine::{ModelOptions, load, log_to_tracing};

const INSTRUCTION: &str = "<|im_start|>system\nYou explain terms of software in one short sentence, for people who know little of \
    computers and want to know no more than that.<|im_end|>\n<|im_start|>user\n";

struct Models {
    large: LoadedModel,
    small: LoadedModel,
}

impl Models {
    fn load() -> Self {
        // Without a subscriber this silences llama.cpp.
        log_to_tracing();
        let of = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/cub").join(name);
            let options =
                ModelOptions { path, device: None, n_gpu_layers: None, mmap: true, repack: false, kernels: true };
            load(&options, |_| true).expect("the built-in models are there")
        };
        Self { large: of("cub.gguf"), small: of("cub-draft.gguf") }
    }

    fn draft(&self, n_cells: usize) -> DraftModel<'_> {
        let options = ContextOptions {
            n_cells,
            is_divided: false,
            kv_type: crate::engine::KvType::F16,
            n_places: 4,
            n_batch: 512,
            n_ubatch: 128,
            n_threads: 1,
            n_draft: 8,
        };
        DraftModel::new(&self.small, &self.large, 2, &options).expect("the same vocabulary")
    }

    fn prompt(&self, question: &str) -> Vec<Token> {
        let text = format!("{INSTRUCTION}{question}<|im_end|>\n<|im_start|>assistant\n");
        self.small.model.vocab().tokenize(text.as_bytes(), true, true).into_iter().map(|token| Token(token.0)).collect()
    }
}

/// Drafts for a large model that accepts every draft; returns the answer and how many tokens were computed for it.
fn answer(draft: &mut DraftModel<'_>, seq: u64, prompt: &[Token]) -> (Vec<Token>, usize) {
    let before = draft.n_computed;
    let mut known = prompt.to_vec();
    for _ in 0..12 {
        let guesses = draft.draft(SeqId(seq), &known, 1).tokens;
        let Some(guess) = guesses.first() else { break };
        known.push(*guess);
    }
    (known.split_off(prompt.len()), draft.n_computed - before)
}

#[test]
fn what_prompts_begin_with_is_read_once() {
    let models = Models::load();
    let [first, second, third] =
        ["What is a lock?", "What is a rebase?", "What is a library?"].map(|question| models.prompt(question));
    let n_shared = n_common(&first, &second);
    assert!(n_shared > MIN_TOKENS && n_shared < third.len());
    let mut draft = models.draft(1024);
    answer(&mut draft, 1, &first);
    draft.forget(SeqId(1));
    let (_, n_whole) = answer(&mut draft, 2, &second);
    assert!(n_whole >= second.len(), "nobody knew before what both begin with");
    let (text, n_rest) = answer(&mut draft, 3, &third);
    assert!(n_rest < third.len() - n_shared + 14, "{n_rest} of {} computed, {n_shared} are shared", third.len());
    assert_eq!(text, answer(&mut models.draft(1024), 1, &third).0, "what is kept changes nothing");
}

#[test]
fn a_conversation_goes_on_where_it_ended() {
    let models = Models::load();
    let mut draft = models.draft(1024);
    let mut known = models.prompt("What is a mutex?");
    let (text, _) = answer(&mut draft, 1, &known);
    assert!(text.len() > 2, "{text:?}");
    known.extend(text);
    draft.forget(SeqId(1));
    let n_before = known.len();
    let more = models.prompt("And a lock?");
    known.extend(&more[n_common(&more, &models.prompt("Why?"))..]);
    let (text, n_computed) = answer(&mut draft, 2, &known);
    assert!(n_computed < known.len() - n_before + 16, "{n_computed} computed, {n_before} were known");
    let (anew, _) = answer(&mut models.draft(1024), 1, &known);
    // A draft ends where the model is unsure, and steps of other widths round differently.
    let n = text.len().min(anew.len());
    assert!(n > 1 && text[..n] == anew[..n], "{text:?} and {anew:?}");
}

#[test]
fn what_is_kept_gives_way_to_requests() {
    let models = Models::load();
    // Room for little more than two prompts.
    let mut draft = models.draft(256);
    for (n, term) in (1..).zip(["lock", "rebase", "library", "mutex", "stack", "queue", "heap", "thread", "cache"]) {
        let prompt = models.prompt(&format!("{}What is a {term}?", "Please tell me now. ".repeat(n % 3 * 4)));
        let (text, _) = answer(&mut draft, n as u64, &prompt);
        assert_eq!(text, answer(&mut models.draft(1024), 1, &prompt).0, "{term}");
        draft.forget(SeqId(n as u64));
    }
    assert_eq!(draft.held.len(), 0);
    assert!((1..=N_KEPT).contains(&draft.kept.stats().n_entries));
    assert_eq!(draft.free.len(), 2, "no place is lost");
}
