//! A template's source before Jinja parses it: bounds on what makes the parser recurse, and tags it does not have.
//! Renders nothing.

use minijinja::machinery::{Span, Token, WhitespaceConfig, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::error::TemplateError;

/// The longest of the templates that people use has 40 KB.
const MAX_BYTES: usize = 1 << 20;
/// Each operator, filter or postfix of a tag can nest the syntax tree by one; the most in use are 57.
const MAX_TOKENS_OF_TAG: usize = 1000;
/// Each `elif` nests the tree as well; the most in use are 21.
const MAX_ELIF: usize = 500;

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
    for token in tokenize(source, false, SyntaxConfig::default(), whitespace) {
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
    replacements: Vec<(std::ops::Range<usize>, &'static str)>,
}

impl Scan {
    fn take(&mut self, token: &Token<'_>, span: Span) -> Result<(), TemplateError> {
        match token {
            Token::BlockStart | Token::VariableStart => {
                (self.n_tokens, self.is_block) = (0, matches!(token, Token::BlockStart));
                return Ok(());
            }
            Token::TemplateData(_) | Token::BlockEnd | Token::VariableEnd => return Ok(()),
            _ => self.n_tokens += 1,
        }
        if self.n_tokens > MAX_TOKENS_OF_TAG {
            let line = span.start_line;
            return Err(TemplateError::TooComplex(format!(
                "the tag at line {line} has more than {MAX_TOKENS_OF_TAG} tokens"
            )));
        }
        if let (true, 1, Token::Ident(name)) = (self.is_block, self.n_tokens, token) {
            self.statement(name, span)?;
        }
        Ok(())
    }

    fn statement(&mut self, name: &str, span: Span) -> Result<(), TemplateError> {
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
        self.replacements.push((span.start_offset as usize..span.end_offset as usize, stand_in));
        Ok(())
    }

    fn replaced(self, source: &str) -> String {
        let mut text = source.to_owned();
        for (range, stand_in) in self.replacements.into_iter().rev() {
            text.replace_range(range, stand_in);
        }
        text
    }
}
