//! Rewrites operators that differ from Python or can produce more than their input: `a ~ b` becomes `(a)|string ~
//! (b)|string`, since minijinja would write `true` for `True`; the operands of `+` are bounded, `a * b` becomes
//! `(a)|_times(b)`. Knows only tokens.

use std::ops::Range;

use minijinja::machinery::Token;

/// An insertion into a template's source.
pub(super) type Edit = (Range<usize>, &'static str);

/// The role of a token in an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Times,
    /// Another operator of the same precedence.
    Divide,
    Tilde,
    Plus,
    /// A sign, or subtraction.
    Minus,
    /// Binds more loosely than all of these, or starts a new expression.
    End,
    Not,
    Is,
    Open,
    Close,
    Literal,
    Loop,
    Other,
}

/// The operators of one precedence, tightest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Product,
    Concat,
    Sum,
}

/// Parser state within a tag.
#[derive(Debug, Default)]
pub(super) struct Tag {
    tokens: Vec<(Kind, Range<usize>)>,
}

impl Tag {
    pub(super) fn push(&mut self, token: &Token<'_>, span: Range<usize>, is_keyword: bool) {
        let kind = match token {
            _ if is_keyword => Kind::End,
            Token::Mul => Kind::Times,
            Token::Div | Token::FloorDiv | Token::Mod => Kind::Divide,
            Token::Tilde => Kind::Tilde,
            Token::Plus => Kind::Plus,
            Token::Minus => Kind::Minus,
            Token::Comma | Token::Colon | Token::Assign => Kind::End,
            Token::Eq | Token::Ne | Token::Lt | Token::Lte | Token::Gt | Token::Gte => Kind::End,
            Token::Ident("in" | "and" | "or" | "if" | "else" | "recursive") => Kind::End,
            Token::Ident("not") => Kind::Not,
            Token::Ident("is") => Kind::Is,
            Token::Ident("loop") => Kind::Loop,
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => Kind::Open,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => Kind::Close,
            Token::Str(_) | Token::String(_) | Token::Int(_) => Kind::Literal,
            _ => Kind::Other,
        };
        self.tokens.push((kind, span));
    }

    /// The insertions around operands, innermost first.
    pub(super) fn edits(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        let has = |kind| self.tokens.iter().any(|(other, _)| *other == kind);
        for (level, operator) in [(Level::Product, Kind::Times), (Level::Concat, Kind::Tilde), (Level::Sum, Kind::Plus)]
        {
            if has(operator) {
                self.chains(level, &mut edits);
            }
        }
        if has(Kind::Loop) {
            self.recursions(&mut edits);
        }
        edits
    }

    fn chains(&self, level: Level, edits: &mut Vec<Edit>) {
        let mut levels = vec![Chain::default()];
        let mut last = Kind::End;
        for (kind, span) in &self.tokens {
            let chain = levels.last_mut().expect("there is always one");
            // A sign belongs to its operand; `*` before arguments is not an operator.
            let is_first = matches!(
                last,
                Kind::End
                    | Kind::Not
                    | Kind::Tilde
                    | Kind::Open
                    | Kind::Minus
                    | Kind::Plus
                    | Kind::Times
                    | Kind::Divide
            );
            let operator = match kind {
                Kind::Times | Kind::Divide if !is_first => Some(Level::Product),
                Kind::Tilde => Some(Level::Concat),
                Kind::Plus => Some(Level::Sum),
                Kind::Minus if !is_first => Some(Level::Sum),
                _ => None,
            };
            // `x is not y` is one operand.
            let is_end = match operator {
                Some(operator) => operator > level,
                None => *kind == Kind::End || (*kind == Kind::Not && last != Kind::Is),
            };
            match kind {
                _ if is_end => chain.end(level, edits),
                _ if operator == Some(level) => chain.operator(*kind, span),
                Kind::Open => {
                    chain.extend(span, false);
                    levels.push(Chain::default());
                }
                Kind::Close => {
                    chain.end(level, edits);
                    if levels.len() > 1 {
                        levels.pop();
                    }
                    levels.last_mut().expect("there is always one").extend(span, false);
                }
                _ => chain.extend(span, *kind == Kind::Literal),
            }
            last = if is_end { Kind::End } else { *kind };
        }
        levels.iter_mut().rev().for_each(|chain| chain.end(level, edits));
    }

    /// Bounds the argument of `loop(…)`, which recurses into a loop with other values.
    fn recursions(&self, edits: &mut Vec<Edit>) {
        let mut open = Vec::new();
        let mut last = Kind::End;
        for (kind, span) in &self.tokens {
            match kind {
                Kind::Open => open.push((last == Kind::Loop).then_some(span.end)),
                Kind::Close => {
                    if let Some(Some(start)) = open.pop().filter(|start| *start != Some(span.start)) {
                        edits.extend([(start..start, "("), (span.start..span.start, super::source::BOUNDED)]);
                    }
                }
                _ => {}
            }
            last = *kind;
        }
    }
}

/// Operands of one precedence, at one bracket depth.
#[derive(Debug, Default)]
struct Chain {
    operands: Vec<(Range<usize>, bool)>,
    operators: Vec<(Kind, Range<usize>)>,
    current: Option<(Range<usize>, bool)>,
}

impl Chain {
    fn extend(&mut self, span: &Range<usize>, is_literal: bool) {
        self.current = Some(match self.current.take() {
            None => (span.clone(), is_literal),
            Some((range, was_literal)) => (range.start..span.end, was_literal && is_literal),
        });
    }

    fn operator(&mut self, kind: Kind, span: &Range<usize>) {
        self.operands.extend(self.current.take());
        self.operators.push((kind, span.clone()));
    }

    fn end(&mut self, level: Level, edits: &mut Vec<Edit>) {
        let Self { mut operands, operators, current } = std::mem::take(self);
        operands.extend(current);
        let has = |kind| operators.iter().any(|(other, _)| *other == kind);
        let around = match level {
            Level::Product => return product(&operands, &operators, edits),
            Level::Concat if has(Kind::Tilde) => ")|string",
            Level::Sum if has(Kind::Plus) => super::source::BOUNDED,
            _ => return,
        };
        for (operand, _) in operands.iter().filter(|(_, is_literal)| !is_literal) {
            edits.extend([(operand.start..operand.start, "("), (operand.end..operand.end, around)]);
        }
    }
}

fn product(operands: &[(Range<usize>, bool)], operators: &[(Kind, Range<usize>)], edits: &mut Vec<Edit>) {
    // The parser reports missing operands.
    let Some((first, _)) = operands.first().filter(|_| operands.len() == operators.len() + 1) else { return };
    for ((_, operator), (operand, _)) in
        operators.iter().zip(&operands[1..]).filter(|((kind, _), _)| *kind == Kind::Times)
    {
        let end = operand.end..operand.end;
        edits.extend([(first.start..first.start, "("), (operator.clone(), ")|_times("), (end, ")")]);
    }
}
