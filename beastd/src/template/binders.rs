//! Tags that bind names: `set`, `with`, `for`, and macro parameters. Bounds every bound value. Knows only tokens.

use std::ops::Range;

use minijinja::machinery::Token;

use super::operators::Edit;
use super::source::BOUNDED;

/// For a value stored in a namespace: see [`super::functions`].
const SETTLED: &str = ")|_settled";
/// For text between `set` and `endset`.
const BOUNDED_BLOCK: &str = "|_bounded";

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Statement {
    Set,
    With,
    For,
    Macro,
    /// Calls a macro with a block as its `caller`.
    Call,
    #[default]
    Other,
}

/// Parser state within a tag.
#[derive(Debug, Default)]
pub(super) struct Binder {
    statement: Statement,
    /// Bracket depth.
    depth: usize,
    /// End of the last token.
    end: usize,
    /// Whether the value goes to an attribute of a namespace.
    is_attribute: bool,
    /// Start of the current value.
    value: Option<usize>,
    /// Whether all values have ended.
    is_over: bool,
    parameters: Vec<String>,
    edits: Vec<Edit>,
}

impl Binder {
    /// The tag's keyword.
    pub(super) fn begin(&mut self, keyword: &str) {
        self.statement = match keyword {
            "set" => Statement::Set,
            "with" => Statement::With,
            "for" => Statement::For,
            "macro" => Statement::Macro,
            "call" => Statement::Call,
            _ => Statement::Other,
        };
    }

    pub(super) fn push(&mut self, token: &Token<'_>, range: Range<usize>) {
        match (self.statement, self.depth) {
            _ if self.is_over => {}
            (Statement::Macro | Statement::Call, 1) => self.parameter(token),
            (_, 0) => self.outside(token, &range),
            _ => {}
        }
        match token {
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => self.depth += 1,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.end = range.end;
    }

    /// A token outside all brackets.
    fn outside(&mut self, token: &Token<'_>, range: &Range<usize>) {
        match (self.statement, token) {
            (Statement::Set, Token::Dot) if self.value.is_none() => self.is_attribute = true,
            (Statement::Set | Statement::With, Token::Assign) if self.value.is_none() => self.value = Some(range.end),
            (Statement::For, Token::Ident("in")) if self.value.is_none() => self.value = Some(range.end),
            (Statement::With, Token::Comma) => self.end_value(),
            (Statement::For, Token::Ident("if" | "recursive")) => {
                self.end_value();
                self.is_over = true;
            }
            // The parentheses of `call f(…)` hold no parameters.
            (Statement::Call, Token::Ident(_)) => self.is_over = true,
            _ => {}
        }
    }

    /// A token within the parentheses of a macro.
    fn parameter(&mut self, token: &Token<'_>) {
        match token {
            Token::Ident(name) if self.value.is_none() => self.parameters.push((*name).to_owned()),
            // The parameter's default value follows.
            Token::Assign => self.value = Some(self.end),
            Token::Comma => self.value = None,
            Token::ParenClose => self.is_over = true,
            _ => {}
        }
    }

    fn end_value(&mut self) {
        let Some(start) = self.value.take() else { return };
        let around = if self.is_attribute { SETTLED } else { BOUNDED };
        self.edits.extend([(start..start, "("), (self.end..self.end, around)]);
    }

    /// The insertions around values, and the macro's parameter names.
    pub(super) fn finish(mut self) -> (Vec<Edit>, Vec<String>) {
        match (self.statement, self.value) {
            (Statement::Set, None) if self.end > 0 => self.edits.push((self.end..self.end, BOUNDED_BLOCK)),
            (Statement::Set | Statement::With | Statement::For, _) => self.end_value(),
            _ => {}
        }
        (self.edits, self.parameters)
    }
}
