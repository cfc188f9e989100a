//! Rewrites a template's source before Jinja parses it: limits recursion in the parser and the size of values, and
//! adapts it to differences from Python's Jinja. Renders nothing.

use std::borrow::Cow;
use std::ops::Range;

use minijinja::machinery::{Span, Token, WhitespaceConfig, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::binders::Binder;
use super::bodies::Bodies;
use super::error::TemplateError;
use super::operators::Tag;

/// Longest source; the longest template in common use has 40 KB.
const MAX_BYTES: usize = 1 << 20;
/// Each operator, filter or postfix of a tag can nest the syntax tree by one; templates in use have at most 57.
const MAX_TOKENS_OF_TAG: usize = 1000;
/// Each `elif` nests the tree as well; templates in use have at most 21.
const MAX_ELIF: usize = 500;

/// See [`super::functions`].
pub(super) const BOUNDED: &str = ")|_bounded";

/// The source for Jinja to parse.
///
/// # Errors
/// When it is too large, or nested so deep that parsing could overflow the stack.
pub(super) fn prepare(source: &str) -> Result<String, TemplateError> {
    if source.len() > MAX_BYTES {
        return Err(TemplateError::TooComplex(format!("it has more than {MAX_BYTES} bytes")));
    }
    let mut scan = Scan::default();
    // As in `functions::environment`, although whitespace control does not change what counts as a tag.
    let whitespace = WhitespaceConfig { keep_trailing_newline: false, lstrip_blocks: true, trim_blocks: true };
    for token in tokenize(source, false, SyntaxConfig, whitespace) {
        let (token, span) = token.map_err(|error| TemplateError::of(&error))?;
        scan.take(source, &token, span)?;
    }
    Ok(scan.replaced(source))
}

#[derive(Default)]
struct Scan {
    n_tokens: usize,
    n_elif: usize,
    is_block: bool,
    tag: Tag,
    binder: Binder,
    bodies: Bodies,
    edits: Vec<(Range<usize>, Cow<'static, str>)>,
}

impl Scan {
    fn take(&mut self, source: &str, token: &Token<'_>, span: Span) -> Result<(), TemplateError> {
        let range = span.start_offset as usize..span.end_offset as usize;
        match token {
            Token::BlockStart | Token::VariableStart => {
                (self.n_tokens, self.is_block) = (0, matches!(token, Token::BlockStart));
                return Ok(());
            }
            Token::BlockEnd | Token::VariableEnd => {
                self.end_of_tag(range);
                return Ok(());
            }
            Token::TemplateData(text) => {
                self.bodies.text(source, range.start, text.len());
                return Ok(());
            }
            _ => self.n_tokens += 1,
        }
        if self.n_tokens > MAX_TOKENS_OF_TAG {
            let line = span.start_line;
            return Err(TemplateError::TooComplex(format!(
                "the tag at line {line} has more than {MAX_TOKENS_OF_TAG} tokens"
            )));
        }
        let is_keyword = self.is_block && self.n_tokens == 1;
        self.tag.push(token, range.clone(), is_keyword);
        match token {
            Token::Ident(name) if is_keyword => {
                self.binder.begin(name);
                self.bodies.keyword(name);
                self.statement(name, range)
            }
            _ => {
                self.binder.push(token, range);
                Ok(())
            }
        }
    }

    /// Insertions around all operands go outside those around each one: edits at the same position keep their order.
    fn end_of_tag(&mut self, end: Range<usize>) {
        let binder = std::mem::take(&mut self.binder);
        let (edits, parameters) = binder.finish();
        let edits = std::mem::take(&mut self.tag).edits().into_iter().chain(edits);
        self.edits.extend(edits.map(|(range, text)| (range, text.into())));
        self.bodies.end_of_tag(end, self.is_block, parameters);
    }

    fn statement(&mut self, name: &str, range: Range<usize>) -> Result<(), TemplateError> {
        // transformers marks the model's output with its own `generation` tags. They do not change the text, but like
        // `with` they keep variables set between them local.
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
        self.edits.push((range, stand_in.into()));
        Ok(())
    }

    fn replaced(mut self, source: &str) -> String {
        self.edits.extend(self.bodies.edits(source));
        self.edits.sort_by_key(|(range, _)| range.start);
        let (mut text, mut at) = (String::with_capacity(source.len()), 0);
        for (range, stand_in) in self.edits {
            text += &source[at..range.start];
            text += &stand_in;
            at = range.end;
        }
        text + &source[at..]
    }
}
