//! Parses a grammar; errors have line numbers.

use std::collections::HashMap;

use super::{Class, Grammar, MAX_DEPTH, MAX_REPETITIONS, Node, Token};

/// Parses a grammar.
///
/// # Errors
/// The first error, with its line.
pub(in crate::engine) fn read(text: &str) -> Result<Grammar, String> {
    let mut reader = Reader { rest: text, line: 1, depth: 0, rules: Vec::new(), names: HashMap::new() };
    reader.rules()?;
    let Reader { rules, names, .. } = reader;
    let root = *names.get("root").ok_or("there is no `root` rule")?;
    let mut nodes = Vec::with_capacity(rules.len());
    for (n, Rule { node, line }) in rules.into_iter().enumerate() {
        let name = || names.iter().find(|(_, at)| **at == n).map_or("", |(name, _)| *name);
        nodes.push(node.ok_or_else(|| match name() {
            "root" => "there is no `root` rule".to_owned(),
            name => format!("line {line}: undefined rule `{name}`"),
        })?);
    }
    Ok(Grammar { rules: nodes, root })
}

struct Rule {
    /// `None` while it is only referenced.
    node: Option<Node>,
    /// Line of the first reference.
    line: usize,
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    depth: usize,
    rules: Vec<Rule>,
    names: HashMap<&'a str, usize>,
}

impl<'a> Reader<'a> {
    fn rules(&mut self) -> Result<(), String> {
        loop {
            self.skip_blanks();
            let Some(c) = self.rest.chars().next() else { return Ok(()) };
            if !is_of_name(c) {
                return Err(self.mistake(format!("`{c}` is unexpected here; expected a rule, `name ::= …`")));
            }
            let line = self.line;
            let name = self.name();
            if !self.take("::=") {
                return Err(format!("line {line}: `{name}` is not followed by `::=`"));
            }
            let rule = self.number_of(name, line);
            let node = self.choice()?;
            if self.rest.starts_with(')') {
                return Err(self.mistake("`)` without `(`"));
            }
            // As in llama.cpp, the last of two rules with the same name counts.
            self.rules[rule].node = Some(node);
        }
    }

    /// Alternatives up to the end of the rule or group.
    fn choice(&mut self) -> Result<Node, String> {
        let mut choices = vec![self.sequence()?];
        while self.take("|") {
            choices.push(self.sequence()?);
        }
        Ok(if choices.len() == 1 { choices.remove(0) } else { Node::Choice(choices) })
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut nodes = Vec::new();
        loop {
            self.skip_blanks();
            let Some(c) = self.rest.chars().next() else { break };
            match c {
                '|' | ')' => break,
                '"' => nodes.push(self.literal()?),
                '[' => nodes.push(Node::Class(self.class()?)),
                '.' => {
                    self.skip(1);
                    nodes.push(Node::Class(Class { ranges: Vec::new(), is_negated: true }));
                }
                '(' => nodes.push(self.group()?),
                '<' | '!' => nodes.push(self.token()?),
                '*' | '+' | '?' | '{' => self.repetition(&mut nodes)?,
                c if is_of_name(c) => {
                    if self.begins_a_rule() {
                        break;
                    }
                    let line = self.line;
                    let name = self.name();
                    nodes.push(Node::Rule(self.number_of(name, line)));
                }
                c => return Err(self.mistake(format!("`{c}` is unexpected here; literals go in double quotes"))),
            }
        }
        Ok(one_after_the_other(nodes))
    }

    fn group(&mut self) -> Result<Node, String> {
        let line = self.line;
        self.skip(1);
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("line {line}: groups are nested deeper than {MAX_DEPTH}"));
        }
        let node = self.choice()?;
        self.depth -= 1;
        if self.take(")") { Ok(node) } else { Err(format!("line {line}: `(` without `)`")) }
    }

    /// A string literal: one node, so that a repetition applies to all of it.
    fn literal(&mut self) -> Result<Node, String> {
        self.skip(1);
        let mut chars = Vec::new();
        loop {
            match self.rest.chars().next() {
                None | Some('\n') => return Err(self.mistake("unterminated string: `\"` is missing")),
                Some('"') => break,
                Some(_) => chars.push(self.character()?),
            }
        }
        self.skip(1);
        let one = |c| Node::Class(Class { ranges: vec![(c, c)], is_negated: false });
        Ok(one_after_the_other(chars.into_iter().map(one).collect()))
    }

    fn class(&mut self) -> Result<Class, String> {
        self.skip(1);
        let is_negated = self.rest.starts_with('^');
        if is_negated {
            self.skip(1);
        }
        let mut ranges = Vec::new();
        loop {
            match self.rest.chars().next() {
                None | Some('\n') => {
                    return Err(self.mistake("unterminated character class: `]` is missing"));
                }
                Some(']') => break,
                Some(_) => {}
            }
            let first = self.character()?;
            let is_range = self.rest.starts_with('-') && !self.rest.starts_with("-]");
            if is_range {
                self.skip(1);
            }
            let last = if is_range { self.character()? } else { first };
            if last < first {
                return Err(self.mistake(format!("the range {first:?} to {last:?} is empty")));
            }
            ranges.push((first, last));
        }
        self.skip(1);
        if ranges.is_empty() && !is_negated {
            return Err(self.mistake("an empty character class matches nothing"));
        }
        Ok(Class { ranges, is_negated })
    }

    /// One character of a literal or class, possibly escaped.
    fn character(&mut self) -> Result<char, String> {
        let mut chars = self.rest.chars();
        let Some(c) = chars.next() else { return Err(self.mistake("a character is missing at the end")) };
        if c != '\\' {
            self.skip(c.len_utf8());
            return Ok(c);
        }
        let Some(kind) = chars.next() else { return Err(self.mistake("`\\` is the last character")) };
        let n_digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let plain = match kind {
            't' => Some('\t'),
            'r' => Some('\r'),
            'n' => Some('\n'),
            '\\' | '"' | '[' | ']' | '-' | '^' => Some(kind),
            _ => None,
        };
        if n_digits > 0 {
            let digits = self.rest.get(2..2 + n_digits).unwrap_or_default();
            let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
            let c = c.ok_or_else(|| self.mistake(format!("invalid escape `\\{kind}{digits}`")))?;
            self.skip(2 + n_digits);
            return Ok(c);
        }
        let c = plain.ok_or_else(|| self.mistake(format!("unknown escape `\\{kind}`")))?;
        self.skip(1 + kind.len_utf8());
        Ok(c)
    }

    /// `<name>` or `<[id]>`, possibly after `!`.
    fn token(&mut self) -> Result<Node, String> {
        let is_negated = self.rest.starts_with('!');
        let line = self.rest.split('\n').next().unwrap_or_default();
        let inner = line.trim_start_matches('!').strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let Some((inner, _)) = inner else {
            return Err(self.mistake("unterminated token: `>` is missing"));
        };
        let token = match inner.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(id) => Token::Id(id.parse().map_err(|_| self.mistake(format!("invalid token `<{inner}>`")))?),
            None => Token::Text(format!("<{inner}>")),
        };
        self.skip(usize::from(is_negated) + inner.len() + 2);
        Ok(Node::Token { token, is_negated })
    }

    /// `*`, `+`, `?`, `{3}`, `{1,}`, `{1,3}`: applies to the preceding node.
    fn repetition(&mut self, nodes: &mut Vec<Node>) -> Result<(), String> {
        let (least, most, n_bytes) = match self.rest.as_bytes()[0] {
            b'*' => (0, None, 1),
            b'+' => (1, None, 1),
            b'?' => (0, Some(1), 1),
            _ => self.bounds()?,
        };
        let sign = &self.rest[..n_bytes];
        let Some(node) = nodes.pop() else { return Err(self.mistake(format!("nothing to repeat before `{sign}`"))) };
        // Two are common for "as few as possible", which GBNF does not have; more would nest ever deeper.
        if matches!(&node, Node::Repeat { node, .. } if matches!(**node, Node::Repeat { .. })) {
            return Err(self.mistake(format!("`{sign}` follows two other repetitions")));
        }
        self.skip(n_bytes);
        nodes.push(Node::Repeat { node: Box::new(node), least, most });
        Ok(())
    }

    /// The bounds in braces, and their length in bytes.
    fn bounds(&self) -> Result<(u32, Option<u32>, usize), String> {
        let Some(end) = self.rest.split('\n').next().unwrap_or_default().find('}') else {
            return Err(self.mistake("unterminated repetition: `}` is missing"));
        };
        let bounds = &self.rest[1..end];
        let is_none = || self.mistake(format!("invalid repetition `{{{bounds}}}`; expected {{3}} or {{1,3}}"));
        let number = |bound: &str| bound.trim().parse::<u32>().map_err(|_| is_none());
        let (least, most) = match bounds.split_once(',') {
            Some((least, most)) if most.trim().is_empty() => (number(least)?, None),
            Some((least, most)) => (number(least)?, Some(number(most)?)),
            None => (number(bounds)?, Some(number(bounds)?)),
        };
        if most.is_some_and(|most| most < least) {
            return Err(is_none());
        }
        if least.max(most.unwrap_or(0)) > MAX_REPETITIONS {
            return Err(self.mistake(format!("`{{{bounds}}}` repeats more than {MAX_REPETITIONS} times")));
        }
        Ok((least, most, end + 1))
    }

    fn begins_a_rule(&self) -> bool {
        let rest = self.rest.trim_start_matches(is_of_name);
        rest.trim_start_matches([' ', '\t']).starts_with("::=")
    }

    fn name(&mut self) -> &'a str {
        let len = self.rest.find(|c| !is_of_name(c)).unwrap_or(self.rest.len());
        let name = &self.rest[..len];
        self.skip(len);
        name
    }

    fn number_of(&mut self, name: &'a str, line: usize) -> usize {
        let rules = &mut self.rules;
        *self.names.entry(name).or_insert_with(|| {
            rules.push(Rule { node: None, line });
            rules.len() - 1
        })
    }

    /// Consumes this character if it comes next.
    fn take(&mut self, sign: &str) -> bool {
        self.skip_blanks();
        let is_next = self.rest.starts_with(sign);
        if is_next {
            self.skip(sign.len());
        }
        is_next
    }

    /// Whitespace and comments.
    fn skip_blanks(&mut self) {
        loop {
            self.skip(self.rest.len() - self.rest.trim_start().len());
            if !self.rest.starts_with('#') {
                return;
            }
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
    }

    fn skip(&mut self, n_bytes: usize) {
        let (skipped, rest) = self.rest.split_at(n_bytes);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }

    fn mistake(&self, what: impl std::fmt::Display) -> String {
        format!("line {}: {what}", self.line)
    }
}

fn one_after_the_other(mut nodes: Vec<Node>) -> Node {
    if nodes.len() == 1 { nodes.remove(0) } else { Node::Sequence(nodes) }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}
