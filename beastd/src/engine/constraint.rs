//! What an answer must look like: a grammar or a JSON schema, as a filter of the next token. Knows no request.

use std::fmt;
use std::sync::{Arc, OnceLock};

use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::SimpleVob;
use llguidance::{Matcher, ParserFactory};

use super::digits::Digits;
use super::{LoadedModel, gbnf, lark, schema};

/// Longest grammar or schema, in bytes.
const MAX_LEN: usize = 256 * 1024;
/// Of a complaint of others; theirs can be long.
const MAX_WORDS: usize = 300;

/// The state of one answer's constraint.
pub struct Constraint(Kind);

enum Kind {
    /// GBNF, by llama.cpp.
    Grammar(LlamaSampler),
    /// A JSON schema or a grammar in Lark, by llguidance: llama.cpp's own translation of schemas into GBNF leaves
    /// keywords out without a word.
    Guided(Box<Guided>),
}

/// By llguidance.
struct Guided {
    matcher: Matcher,
    /// Of a text that is JSON and nothing else.
    digits: Option<Digits>,
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Grammar(_) => "Constraint(grammar)",
            Kind::Guided(_) => "Constraint(guided)",
        })
    }
}

/// What constraints of one model share.
#[derive(Default)]
pub(super) struct Constraints(OnceLock<Result<Arc<ParserFactory>, String>>);

impl Constraints {
    /// Reads a grammar in GBNF, whose first rule is `root`.
    pub(super) fn grammar(model: &LoadedModel, text: &str) -> Result<Constraint, String> {
        check_len(text)?;
        gbnf::check(text)?;
        let sampler = LlamaSampler::grammar(&model.model, text, "root").map_err(|_| {
            // It says why to stderr alone; of what has passed the check, this is what is left most often.
            "llama.cpp refuses it; perhaps a rule begins with itself, or repeats too often"
        })?;
        Ok(Constraint(Kind::Grammar(sampler)))
    }

    /// Reads a JSON schema. The first one of a model takes some tenths of a second: its vocabulary is made a trie.
    pub(super) fn schema(&self, model: &LoadedModel, text: &str) -> Result<Constraint, String> {
        check_len(text)?;
        let schema: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        // Both say nothing about the value, and llguidance wants its options in an object.
        let mut schema = match schema {
            serde_json::Value::Bool(true) => serde_json::json!({}),
            schema @ serde_json::Value::Object(_) => schema,
            _ => return Err("a schema is an object".into()),
        };
        schema::add_types(&mut schema);
        lark::json_options().apply_to(&mut schema);
        self.guided(model, TopLevelGrammar::from_json_schema(schema), Some(Digits::default()))
    }

    /// Reads a grammar in llguidance's Lark; for the first one, see `schema`.
    pub(super) fn lark(&self, model: &LoadedModel, text: &str) -> Result<Constraint, String> {
        check_len(text)?;
        self.guided(model, TopLevelGrammar::from_lark(lark::with_json_options(text)), None)
    }

    fn guided(
        &self,
        model: &LoadedModel,
        grammar: TopLevelGrammar,
        digits: Option<Digits>,
    ) -> Result<Constraint, String> {
        let factory = self.0.get_or_init(|| new_factory(model)).clone()?;
        let matcher = Matcher::new(factory.create_parser(grammar));
        match matcher.get_error() {
            None => Ok(Constraint(Kind::Guided(Box::new(Guided { matcher, digits })))),
            Some(error) => Err(in_short(&error)),
        }
    }
}

fn new_factory(model: &LoadedModel) -> Result<Arc<ParserFactory>, String> {
    let vocab = LlamaSampler::llguidance_tok_env(&model.model);
    let mut factory = ParserFactory::new_simple(&vocab).map_err(|error| in_short(&error))?;
    factory.quiet().limits_mut().verbose_errors = false;
    Ok(Arc::new(factory))
}

impl Constraint {
    /// Another one at its beginning, without reading the text again; none where the kind cannot be copied.
    pub fn again(&self) -> Option<Self> {
        match &self.0 {
            Kind::Grammar(_) => None,
            Kind::Guided(guided) => {
                let Guided { matcher, digits } = &**guided;
                Some(Self(Kind::Guided(Box::new(Guided { matcher: matcher.deep_clone(), digits: *digits }))))
            }
        }
    }

    /// Whether the token may come next.
    pub(super) fn allows(&mut self, token: LlamaToken) -> bool {
        match &mut self.0 {
            Kind::Grammar(sampler) => {
                let mut one = LlamaTokenDataArray::new(vec![LlamaTokenData::new(token, 0.0, 0.0)], false);
                one.apply_sampler(sampler);
                one.data.first().is_some_and(|data| data.logit().is_finite())
            }
            Kind::Guided(guided) => guided.allows(token.0.cast_unsigned()),
        }
    }

    /// Makes all tokens impossible that may not come next. False when none is left.
    pub(super) fn mask(&mut self, candidates: &mut LlamaTokenDataArray) -> bool {
        match &mut self.0 {
            Kind::Grammar(sampler) => candidates.apply_sampler(sampler),
            Kind::Guided(guided) => match guided.allowed() {
                Ok(mask) => candidates.data.retain(|data| mask.is_allowed(data.id().0.cast_unsigned())),
                Err(error) => {
                    tracing::warn!(error, "the constraint cannot be followed any further");
                    return false;
                }
            },
        }
        candidates.data.retain(|data| data.logit().is_finite());
        !candidates.data.is_empty()
    }

    /// The token was chosen, among those that are allowed.
    pub(super) fn accept(&mut self, token: LlamaToken) {
        match &mut self.0 {
            Kind::Grammar(sampler) => sampler.accept(token),
            Kind::Guided(guided) => guided.accept(token.0.cast_unsigned()),
        }
    }
}

impl Guided {
    fn allows(&mut self, token: u32) -> bool {
        if !is_allowed(&mut self.matcher, token) {
            return false;
        }
        // Whatever else may follow is looked at only by who is about to write a digit too many.
        !self.exceeds(token) || self.allowed().is_ok_and(|mask| mask.is_allowed(token))
    }

    /// All tokens that may come next: none that makes a number too long, unless nothing else is left.
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

    fn accept(&mut self, token: u32) {
        if self.matcher.is_stopped() {
            return;
        }
        if let (Some(digits), Ok(vocab)) = (&mut self.digits, self.matcher.tok_env()) {
            digits.take(vocab.tok_trie().token(token));
        }
        // What follows an error is no token: `mask` says so.
        let _ = self.matcher.consume_token(token);
    }
}

/// Tries one token instead of all: where nearly everything is allowed, a mask of the vocabulary is wasted work.
fn is_allowed(matcher: &mut Matcher, token: u32) -> bool {
    if matcher.is_stopped() {
        // After the end there is only the end; nothing after an error.
        return matcher.compute_mask_or_eos().is_ok_and(|mask| mask.is_allowed(token));
    }
    // A token without bytes would pass, because there is nothing wrong with any of them.
    let has_bytes = matcher.tok_env().is_ok_and(|vocab| !vocab.tok_trie().token(token).is_empty());
    has_bytes && matcher.validate_tokens(&[token]).is_ok_and(|n_valid| n_valid == 1)
}

/// Complaints of others are blocks of text, with a picture of the place in the middle.
fn in_short(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(MAX_WORDS).collect()
}

fn check_len(text: &str) -> Result<(), String> {
    if text.len() <= MAX_LEN { Ok(()) } else { Err(format!("it has {} bytes, and {MAX_LEN} are the most", text.len())) }
}

#[cfg(test)]
#[path = "constraint_tests.rs"]
mod tests;
