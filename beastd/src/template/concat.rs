//! `a ~ b` in the form in which Python writes both: `(a)|string ~ (b)|string`. minijinja would write `true` for `True`.
//! Knows tokens alone.

use std::ops::Range;

use minijinja::machinery::Token;

/// What a token is to an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tilde,
    /// A sign, or the operator of two terms.
    Minus,
    /// Ends an operand of `~`: it binds less tightly, or begins something else.
    End,
    Not,
    Is,
    Open,
    Close,
    Text,
    Other,
}

/// A tag as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Tag {
    tokens: Vec<(Kind, Range<usize>)>,
    has_tilde: bool,
}

impl Tag {
    pub(super) fn push(&mut self, token: &Token<'_>, span: Range<usize>, is_keyword: bool) {
        let kind = match token {
            _ if is_keyword => Kind::End,
            Token::Tilde => Kind::Tilde,
            Token::Minus => Kind::Minus,
            Token::Plus | Token::Comma | Token::Colon | Token::Assign => Kind::End,
            Token::Eq | Token::Ne | Token::Lt | Token::Lte | Token::Gt | Token::Gte => Kind::End,
            Token::Ident("in" | "and" | "or" | "if" | "else" | "recursive") => Kind::End,
            Token::Ident("not") => Kind::Not,
            Token::Ident("is") => Kind::Is,
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => Kind::Open,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => Kind::Close,
            Token::Str(_) | Token::String(_) => Kind::Text,
            _ => Kind::Other,
        };
        self.has_tilde |= kind == Kind::Tilde;
        self.tokens.push((kind, span));
    }

    /// Where operands begin and end, those that are not text as they stand.
    pub(super) fn operands(&self) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if !self.has_tilde {
            return found;
        }
        let mut levels = vec![Chain::default()];
        let mut last = Kind::End;
        for (kind, span) in &self.tokens {
            let level = levels.last_mut().expect("there is always one");
            // `x is not y` is one operand, `-x` as well.
            let is_end = match kind {
                Kind::End => true,
                Kind::Not => last != Kind::Is,
                Kind::Minus => !matches!(last, Kind::End | Kind::Not | Kind::Tilde | Kind::Open | Kind::Minus),
                _ => false,
            };
            match kind {
                _ if is_end => level.end(&mut found),
                Kind::Tilde => level.tilde(),
                Kind::Open => {
                    level.extend(span, false);
                    levels.push(Chain::default());
                }
                Kind::Close => {
                    level.end(&mut found);
                    if levels.len() > 1 {
                        levels.pop();
                    }
                    levels.last_mut().expect("there is always one").extend(span, false);
                }
                _ => level.extend(span, *kind == Kind::Text),
            }
            last = if is_end { Kind::End } else { *kind };
        }
        levels.iter_mut().for_each(|level| level.end(&mut found));
        found
    }
}

/// Operands between `~`, at one depth of brackets.
#[derive(Debug, Default)]
struct Chain {
    operands: Vec<Range<usize>>,
    current: Option<(Range<usize>, bool)>,
    has_tilde: bool,
}

impl Chain {
    fn extend(&mut self, span: &Range<usize>, is_text: bool) {
        self.current = Some(match self.current.take() {
            None => (span.clone(), is_text),
            Some((range, was_text)) => (range.start..span.end, was_text && is_text),
        });
    }

    fn tilde(&mut self) {
        self.has_tilde = true;
        self.operands.extend(self.current.take().filter(|(_, is_text)| !is_text).map(|(range, _)| range));
    }

    fn end(&mut self, found: &mut Vec<Range<usize>>) {
        if self.has_tilde {
            self.tilde();
            found.append(&mut self.operands);
        }
        *self = Self::default();
    }
}
