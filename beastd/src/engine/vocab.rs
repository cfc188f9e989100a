//! The model's vocabulary: tokens to bytes and back.

use std::sync::Arc;

use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token_type::LlamaTokenAttr;

use super::constraint::Kind;
use super::{constraint::Constraint, model::LoadedModel, traits::Vocab};
use crate::batch::Token;

/// The vocabulary of a loaded model.
#[derive(Debug, Clone)]
pub struct LlamaVocab(Arc<LoadedModel>);

impl LlamaVocab {
    /// Shares the model.
    pub fn new(model: Arc<LoadedModel>) -> Self {
        Self(model)
    }

    fn text(&self, token: LlamaToken) -> String {
        let vocab = self.0.model.vocab();
        if token.0 < 0 {
            return String::new();
        }
        String::from_utf8_lossy(&vocab.token_to_piece(token, true, None)).into_owned()
    }
}

impl Vocab for LlamaVocab {
    fn tokenize(&self, text: &str, add_special: bool, parse_special: bool) -> Vec<Token> {
        let tokens = self.0.model.vocab().tokenize(text.as_bytes(), add_special, parse_special);
        tokens.into_iter().map(|token| Token(token.0)).collect()
    }

    fn piece(&self, token: Token, out: &mut Vec<u8>) {
        // llama.cpp writes into spare capacity; retry with more if it was too small.
        out.reserve(32);
        self.0.model.vocab().token_to_piece_into(LlamaToken(token.0), out, false, None);
    }

    fn is_end(&self, token: Token) -> bool {
        self.0.model.vocab().is_eog(LlamaToken(token.0))
    }

    fn special_texts(&self) -> Vec<String> {
        let vocab = self.0.model.vocab();
        let is_special =
            |token: &LlamaToken| vocab.is_control(*token) || vocab.attr(*token).contains(LlamaTokenAttr::UserDefined);
        let texts = vocab.tokens().filter(is_special).map(|token| self.text(token));
        texts.filter(|text| !text.trim().is_empty()).collect()
    }

    fn bos_text(&self) -> String {
        self.text(self.0.model.vocab().bos())
    }

    fn eos_text(&self) -> String {
        self.text(self.0.model.vocab().eos())
    }

    fn adds_bos(&self) -> bool {
        self.0.model.vocab().should_add_bos()
    }

    fn n_tokens(&self) -> usize {
        usize::try_from(self.0.n_vocab()).unwrap_or(0)
    }

    fn longest_token(&self) -> usize {
        let vocab = self.0.model.vocab();
        vocab.tokens().filter_map(|token| vocab.text(token)).map(|text| text.count_bytes()).max().unwrap_or(1)
    }

    fn grammar(&self, text: &str) -> Result<Constraint, String> {
        self.0.constraints.read(&self.0, Kind::Gbnf, text)
    }

    fn schema(&self, text: &str) -> Result<Constraint, String> {
        self.0.constraints.read(&self.0, Kind::Schema, text)
    }

    fn lark(&self, text: &str) -> Result<Constraint, String> {
        self.0.constraints.read(&self.0, Kind::Lark, text)
    }
}
