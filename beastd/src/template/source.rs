//! A template's source before Jinja parses it: bounds on what makes the parser recurse, and what it has not or has
//! otherwise than Python. Renders nothing.

use std::ops::Range;

use minijinja::machinery::{Span, Token, WhitespaceConfig, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::concat::Tag;
use super::error::TemplateError;

/// The longest of the templates that people use has 40 KB.
const MAX_BYTES: usize = 1 << 20;
/// Each operator, filter or postfix of a tag can nest the syntax tree by one; the most in use are 57.
const MAX_TOKENS_OF_TAG: usize = 1000;
/// Each `elif` nests the tree as well; the most in use are 21.
const MAX_ELIF: usize = 500;

/// See [`super::functions`].
const BOUNDED: &str = ")|_bounded";
const BOUNDED_BLOCK: &str = "|_bounded";

/// What Jinja is to parse.
///
/// # Errors
/// When the source is too large, or nested so deep that parsing it could overflow the stack.
pub(super) fn prepare(source: &str) -> Result<String, TemplateError> {
    if source.len() > MAX_BYTES {
        return Err(TemplateError::TooComplex(format!("it has more than {MAX_BYTES} bytes")));
    }
    let mut scan = Scan::default();
    // As `functions::environment` sets it up: whitespace does not change what is a tag.
    let whitespace = WhitespaceConfig { keep_trailing_newline: false, lstrip_blocks: true, trim_blocks: true };
    for token in tokenize(source, false, SyntaxConfig, whitespace) {
        let (token, span) = token.map_err(|error| TemplateError::of(&error))?;
        scan.take(&token, span)?;
    }
    Ok(scan.replaced(source))
}

#[derive(Default)]
struct Scan {
    n_tokens: usize,
    n_elif: usize,
    is_block: bool,
    is_set: bool,
    /// Depth of brackets in this tag.
    depth: usize,
    /// Where its last token ends.
    end: usize,
    /// Where the value of a `set` begins.
    value: Option<usize>,
    tag: Tag,
    edits: Vec<(Range<usize>, &'static str)>,
}

impl Scan {
    fn take(&mut self, token: &Token<'_>, span: Span) -> Result<(), TemplateError> {
        match token {
            Token::BlockStart | Token::VariableStart => {
                (self.n_tokens, self.is_block) = (0, matches!(token, Token::BlockStart));
                (self.is_set, self.depth, self.value) = (false, 0, None);
                return Ok(());
            }
            Token::BlockEnd | Token::VariableEnd => {
                for operand in std::mem::take(&mut self.tag).operands() {
                    self.edits.push((operand.start..operand.start, "("));
                    self.edits.push((operand.end..operand.end, ")|string"));
                }
                // Around the operands: edits at one place keep their order.
                self.bound_set();
                return Ok(());
            }
            Token::TemplateData(_) => return Ok(()),
            _ => self.n_tokens += 1,
        }
        if self.n_tokens > MAX_TOKENS_OF_TAG {
            let line = span.start_line;
            return Err(TemplateError::TooComplex(format!(
                "the tag at line {line} has more than {MAX_TOKENS_OF_TAG} tokens"
            )));
        }
        let range = span.start_offset as usize..span.end_offset as usize;
        let is_keyword = self.is_block && self.n_tokens == 1;
        self.tag.push(token, range.clone(), is_keyword);
        self.end = range.end;
        match token {
            Token::Ident("set") if is_keyword => self.is_set = true,
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => self.depth += 1,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => self.depth = self.depth.saturating_sub(1),
            Token::Assign if self.depth == 0 && self.value.is_none() => self.value = Some(range.end),
            _ => {}
        }
        match token {
            Token::Ident(name) if is_keyword => self.statement(name, range),
            _ => Ok(()),
        }
    }

    /// A text that is doubled again and again has to be set, however few steps that takes.
    fn bound_set(&mut self) {
        let end = self.end..self.end;
        match self.value {
            _ if !self.is_set => {}
            Some(start) => self.edits.extend([(start..start, "("), (end, BOUNDED)]),
            None => self.edits.push((end, BOUNDED_BLOCK)),
        }
    }

    fn statement(&mut self, name: &str, range: Range<usize>) -> Result<(), TemplateError> {
        // transformers marks what the model writes with tags of its own. They change no text; but as with `with`,
        // what is set between them stays there.
        let stand_in = match name {
            "generation" => "with",
            "endgeneration" => "endwith",
            "elif" => {
                self.n_elif += 1;
                return match self.n_elif > MAX_ELIF {
                    true => Err(TemplateError::TooComplex(format!("it has more than {MAX_ELIF} `elif`"))),
                    false => Ok(()),
                };
            }
            _ => return Ok(()),
        };
        self.edits.push((range, stand_in));
        Ok(())
    }

    fn replaced(mut self, source: &str) -> String {
        self.edits.sort_by_key(|(range, _)| range.start);
        let (mut text, mut at) = (String::with_capacity(source.len()), 0);
        for (range, stand_in) in self.edits {
            text += &source[at..range.start];
            text += stand_in;
            at = range.end;
        }
        text + &source[at..]
    }
}
