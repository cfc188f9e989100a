//! Grammars in Lark allow what llama.cpp allows for the same ones in GBNF, token by token.

use std::fmt::Write as _;

use beast_tests::dice::Dice;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use crate::engine::LoadedModel;
use crate::engine::constraint::{Constraint, Kind};
use crate::engine::llama::tests::model;

/// Generates grammars.
struct Author(Dice);

impl Author {
    /// A part of rule `rule` of `n_rules`. References back follow a character, because llama.cpp rejects left
    /// recursion.
    fn part(&mut self, rule: usize, n_rules: usize, depth: usize, out: &mut String) {
        match self.0.below(if depth > 2 { 4 } else { 8 }) {
            0 => *out += self.0.one_of(&["\"a\"", "\"ab\"", "\"ba\"", "\"\"", "\"aab\"", "\"é\""]),
            1 => *out += self.0.one_of(&["[ab]", "[^a]", "[b-e]", "[^ \\n]", "."]),
            2 if rule + 1 < n_rules => {
                let _ = write!(out, "r{}", rule + 1 + self.0.below(n_rules - rule - 1));
            }
            3 if self.0.below(3) == 0 => {
                let _ = write!(out, "\"b\" r{}", self.0.below(n_rules));
            }
            2 | 3 => *out += "\"b\"",
            4 => {
                out.push('(');
                self.choice(rule, n_rules, depth + 1, out);
                out.push(')');
            }
            _ => {
                // Only parts that cannot be empty: others llama.cpp would repeat forever.
                *out += self.0.one_of(&["\"a\"", "[ab]", "(\"ab\" | \"b\")"]);
                *out += self.0.one_of(&["*", "+", "?", "{2}", "{1,}", "{0,2}", "{1,3}"]);
            }
        }
    }

    fn choice(&mut self, rule: usize, n_rules: usize, depth: usize, out: &mut String) {
        for n in 0..=self.0.below(3) {
            *out += if n > 0 { " | " } else { "" };
            for _ in 0..=self.0.below(3) {
                self.part(rule, n_rules, depth, out);
                out.push(' ');
            }
        }
    }

    fn grammar(&mut self) -> String {
        let n_rules = 1 + self.0.below(4);
        let mut out = "root ::= r0\n".to_owned();
        for rule in 0..n_rules {
            let _ = write!(out, "r{rule} ::= ");
            self.choice(rule, n_rules, 0, &mut out);
            out.push('\n');
        }
        out
    }
}

fn allows(sampler: &mut LlamaSampler, token: LlamaToken) -> bool {
    let mut one = LlamaTokenDataArray::new(vec![LlamaTokenData::new(token, 0.0, 0.0)], false);
    one.apply_sampler(sampler);
    one.data.first().is_some_and(|data| data.logit().is_finite())
}

/// Tokens made of the grammars' characters, and the end.
fn tokens(model: &LoadedModel) -> Vec<LlamaToken> {
    let vocab = model.model.vocab();
    let is_of_ours = |token: &LlamaToken| {
        let piece = vocab.token_to_piece(*token, false, None);
        !piece.is_empty() && piece.len() < 5 && piece.iter().all(|byte| b"abcde \n".contains(byte))
    };
    let mut tokens: Vec<LlamaToken> = vocab.tokens().filter(is_of_ours).collect();
    tokens.extend(vocab.tokenize("é".as_bytes(), false, false));
    tokens.push(vocab.eos());
    tokens
}

/// Follows a grammar at random; both must allow the same tokens at each step. Returns how many steps there were.
fn walk(model: &LoadedModel, grammar: &str, tokens: &[LlamaToken], dice: &mut Dice) -> usize {
    let Ok(mut theirs) = LlamaSampler::grammar(&model.model, grammar, "root") else { return 0 };
    let ours = model.constraints.read(model, Kind::Gbnf, grammar);
    let mut ours: Constraint = ours.unwrap_or_else(|error| panic!("{error}\n{grammar}"));
    let mut said = String::new();
    for n in 0..12 {
        let of = |is_allowed: &mut dyn FnMut(LlamaToken) -> bool| -> Vec<LlamaToken> {
            tokens.iter().copied().filter(|token| is_allowed(*token)).collect()
        };
        let (expected, found) = (of(&mut |token| allows(&mut theirs, token)), of(&mut |token| ours.allows(token)));
        assert_eq!(found, expected, "after {said:?}\n{grammar}");
        let end = model.model.vocab().eos();
        let next: Vec<LlamaToken> = expected.into_iter().filter(|token| *token != end).collect();
        if next.is_empty() {
            return n;
        }
        let token = next[dice.below(next.len())];
        said += &String::from_utf8_lossy(&model.model.vocab().token_to_piece(token, false, None));
        theirs.accept(token);
        ours.accept(token);
    }
    12
}

#[test]
fn what_may_follow_is_what_llama_cpp_lets_follow() {
    let model = model();
    let tokens = tokens(&model);
    assert!(tokens.len() > 20, "{}", tokens.len());
    let n_steps: usize = (0..100)
        .map(|seed| {
            let mut author = Author(Dice::new(seed));
            let grammar = author.grammar();
            walk(&model, &grammar, &tokens, &mut author.0)
        })
        .sum();
    assert!(n_steps > 200, "{n_steps} steps in all");
}
