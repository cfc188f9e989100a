//! Constrained decoding: a grammar or JSON schema as a filter for the next token. Knows no request.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;
use llguidance::api::{ParserLimits, StopReason, TopLevelGrammar};
use llguidance::toktrie::SimpleVob;
use llguidance::{Matcher, ParserFactory};

use super::digits::Digits;
use super::{gbnf, lark, model::LoadedModel, patterns, schema};

/// Longest grammar or schema, in bytes.
const MAX_LEN: usize = 256 * 1024;
/// For messages from libraries, which can be long.
const MAX_WORDS: usize = 300;
/// The usual reason for a dead end.
const NO_TOKEN: &str = "no token can follow";
/// When [`LIMITS`] are exceeded.
const TOO_MUCH: &str = "it is too expensive to evaluate";
/// Compiled constraints to cache: agents send the same tools every turn, scripts the same schema every call.
const N_KEPT: usize = 8;

/// Cost limits of one constraint. The speeds are llguidance's figures for its units.
const LIMITS: ParserLimits = ParserLimits {
    max_items_in_row: 2000,
    // 20 ms, at 50,000 per millisecond.
    initial_lexer_fuel: 1_000_000,
    // 35 ms per mask, at 14,000 per millisecond.
    step_lexer_fuel: 500_000,
    // 100 ms per mask, at 20,000 per millisecond. A recursive grammar is followed character by character through the
    // whole vocabulary.
    step_max_items: 2_000_000,
    // 50 to 100 MB.
    max_lexer_states: 50_000,
    max_grammar_size: 500_000,
    precompute_large_lexemes: true,
    verbose_errors: false,
};

/// The constraint state of one answer. llguidance evaluates all kinds: its steps are bounded and its errors have
/// reasons. llama.cpp's own grammars are unbounded, and its conversion of schemas silently drops keywords.
pub struct Constraint {
    matcher: Box<Matcher>,
    /// For a text that is JSON or may contain calls.
    digits: Option<Digits>,
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Constraint")
    }
}

/// Shared by all constraints of a model.
#[derive(Default)]
pub(super) struct Constraints {
    factory: OnceLock<Result<Arc<ParserFactory>, String>>,
    /// The most recently compiled ones, by kind and text.
    kept: Mutex<VecDeque<(Kind, String, Constraint)>>,
}

/// Language of a constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// GBNF, llama.cpp's grammars; the first rule is `root`.
    Gbnf,
    /// JSON schema.
    Schema,
    /// llguidance's Lark, used for calls of functions.
    Lark,
}

impl Constraints {
    /// Compiles a constraint. The first one for a model takes some tenths of a second to build a trie of the
    /// vocabulary; a cached one takes next to nothing.
    pub(super) fn read(&self, model: &LoadedModel, kind: Kind, text: &str) -> Result<Constraint, String> {
        if text.len() > MAX_LEN {
            return Err(format!("it is {} bytes long; the limit is {MAX_LEN}", text.len()));
        }
        if let Some(constraint) = self.again(kind, text) {
            return Ok(constraint);
        }
        let grammar = match kind {
            Kind::Gbnf => TopLevelGrammar::from_lark(gbnf::to_lark(&gbnf::read(text)?, |text| token(model, text))?),
            Kind::Schema => schema_grammar(text)?,
            Kind::Lark => TopLevelGrammar::from_lark(lark::with_json_options(text)?),
        };
        let factory = self.factory.get_or_init(|| new_factory(model)).clone()?;
        let matcher = Matcher::new(factory.create_parser(grammar));
        if let Some(error) = matcher.get_error() {
            return Err(in_short(&error));
        }
        let digits = match kind {
            Kind::Gbnf => None,
            Kind::Schema => Some(Digits::default()),
            Kind::Lark => Some(Digits::of_calls()),
        };
        let constraint = Constraint { matcher: Box::new(matcher), digits };
        self.keep(kind, text, constraint.again());
        Ok(constraint)
    }

    fn again(&self, kind: Kind, text: &str) -> Option<Constraint> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(other_kind, other, _)| *other_kind == kind && other == text)?;
        let entry = kept.remove(at)?;
        let again = entry.2.again();
        kept.push_back(entry);
        Some(again)
    }

    fn keep(&self, kind: Kind, text: &str, constraint: Constraint) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((kind, text.to_owned(), constraint));
        if kept.len() > N_KEPT {
            kept.pop_front();
        }
    }
}

fn schema_grammar(text: &str) -> Result<TopLevelGrammar, String> {
    let schema: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    // Neither affects the value, and llguidance wants its options in an object.
    let mut schema = match schema {
        serde_json::Value::Bool(true) => serde_json::json!({}),
        schema @ serde_json::Value::Object(_) => schema,
        _ => return Err("a schema must be an object".into()),
    };
    patterns::check(&schema)?;
    schema::add_types(&mut schema);
    schema::close_objects(&mut schema);
    lark::json_options().apply_to(&mut schema);
    Ok(TopLevelGrammar::from_json_schema(schema))
}

/// The token with this text.
fn token(model: &LoadedModel, text: &str) -> Option<u32> {
    match model.model.vocab().tokenize(text.as_bytes(), false, true)[..] {
        [token] => Some(token.0.cast_unsigned()),
        _ => None,
    }
}

fn new_factory(model: &LoadedModel) -> Result<Arc<ParserFactory>, String> {
    let vocab = LlamaSampler::llguidance_tok_env(&model.model);
    let mut factory = ParserFactory::new_simple(&vocab).map_err(|error| in_short(&error))?;
    *factory.quiet().limits_mut() = LIMITS;
    Ok(Arc::new(factory))
}

impl Constraint {
    /// A copy in the same state, without compiling again.
    pub fn again(&self) -> Self {
        Self { matcher: Box::new(self.matcher.deep_clone()), digits: self.digits }
    }

    /// Whether the token may come next.
    pub(super) fn allows(&mut self, token: LlamaToken) -> bool {
        let token = token.0.cast_unsigned();
        if self.matcher.is_stopped() {
            // Only an end token after the end; nothing after an error.
            let is_end = self.matcher.stop_reason().is_ok();
            return is_end && self.matcher.compute_mask_or_eos().is_ok_and(|mask| mask.is_allowed(token));
        }
        // A token without bytes would pass, since no byte of it is wrong.
        let has_bytes = self.matcher.tok_env().is_ok_and(|vocab| !vocab.tok_trie().token(token).is_empty());
        // Checks one token instead of all: where nearly everything is allowed, a mask of the vocabulary is wasteful.
        let is_valid = has_bytes && self.matcher.validate_tokens(&[token]).is_ok_and(|n_valid| n_valid == 1);
        // Other tokens matter only if this one makes a number too long.
        is_valid && (!self.exceeds(token) || self.allowed().is_ok_and(|mask| mask.is_allowed(token)))
    }

    /// Keeps the candidates that may come next, at least one.
    ///
    /// # Errors
    /// When there is none, or finding out costs more than [`LIMITS`].
    pub(super) fn mask(&mut self, candidates: &mut LlamaTokenDataArray) -> Result<(), String> {
        let mask = if self.matcher.stop_reason().is_ok() { self.allowed().ok() } else { None };
        let mask = mask.ok_or_else(|| self.why_stuck())?;
        candidates.data.retain(|data| mask.is_allowed(data.id().0.cast_unsigned()) && data.logit() > f32::NEG_INFINITY);
        if candidates.data.is_empty() { Err(NO_TOKEN.into()) } else { Ok(()) }
    }

    /// The reason after a matcher error. Its own message names internals that mean nothing to the author of a grammar.
    fn why_stuck(&self) -> String {
        let error = self.matcher.get_error().unwrap_or_default();
        let is = |reason: StopReason| self.matcher.stop_reason() == reason || error.contains(&format!("{reason:?}"));
        if is(StopReason::NoExtension) || is(StopReason::NoExtensionBias) {
            NO_TOKEN.into()
        } else if is(StopReason::LexerTooComplex) || is(StopReason::ParserTooComplex) {
            TOO_MUCH.into()
        } else {
            in_short(&error)
        }
    }

    /// All tokens that may come next; excludes those that make a number too long, unless nothing else is left.
    fn allowed(&mut self) -> Result<SimpleVob, String> {
        let mut mask = self.matcher.compute_mask_or_eos().map_err(|error| in_short(&error))?;
        if self.digits.is_none_or(|digits| !digits.is_in_number()) {
            return Ok(mask);
        }
        let n_tokens = u32::try_from(mask.len()).unwrap_or(u32::MAX);
        let (too_long, others): (Vec<u32>, Vec<u32>) =
            (0..n_tokens).filter(|&token| mask.is_allowed(token)).partition(|&token| self.exceeds(token));
        if !others.is_empty() {
            too_long.into_iter().for_each(|token| mask.disallow_token(token));
        }
        Ok(mask)
    }

    fn exceeds(&self, token: u32) -> bool {
        let Some(digits) = self.digits.filter(|digits| digits.is_in_number()) else { return false };
        self.matcher.tok_env().is_ok_and(|vocab| digits.exceed_with(vocab.tok_trie().token(token)))
    }

    /// Advances by a token, which must be allowed.
    pub(super) fn accept(&mut self, token: LlamaToken) {
        let token = token.0.cast_unsigned();
        if self.matcher.is_stopped() {
            return;
        }
        if let (Some(digits), Ok(vocab)) = (&mut self.digits, self.matcher.tok_env()) {
            digits.take(vocab.tok_trie().token(token));
        }
        // After an error there is no next token: `mask` reports it.
        let _ = self.matcher.consume_token(token);
    }
}

/// Library messages are blocks of text with a picture of the position in the middle.
fn in_short(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    // llguidance advises raising limits, which are ours.
    if text.contains("limits.") || text.contains("fuel exhausted") {
        return TOO_MUCH.into();
    }
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(MAX_WORDS).collect()
}

#[cfg(test)]
#[path = "constraint_tests.rs"]
mod tests;
