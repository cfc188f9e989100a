//! Writes rules as llguidance's Lark.
//!
//! llguidance splits text into lexemes greedily, then parses those. GBNF has only characters, so where rules are
//! written one by one, each lexeme is one character: nothing is greedy and nothing is lost. A grammar without recursion
//! (most of those that people write) is a regular expression: it becomes one lexeme, whose tokens are found faster.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::{Class, Grammar, Node, Token, weight};

/// Nesting depth of rules within a lexeme; llguidance parses them recursively.
const MAX_DEPTH_OF_LEXEME: usize = 100;

/// The same grammar in Lark. `token` finds the id of a token by its text.
///
/// # Errors
/// A token name that does not exist, or a regular expression that would take too much memory.
pub(in crate::engine) fn to_lark(grammar: &Grammar, token: impl Fn(&str) -> Option<u32>) -> Result<String, String> {
    let order = used_rules(grammar);
    let is_lexeme = is_regular(grammar, &order);
    if is_lexeme && !weight::is_light(grammar) {
        return Err("it has too many optional parts in a row".into());
    }
    let mut writer =
        Writer { out: String::new(), classes: Vec::new(), numbers: HashMap::new(), is_lexeme, token: &token };
    writer.out = format!("start: {}\n", writer.rule_name(grammar.root));
    for &rule in &order {
        let name = writer.rule_name(rule);
        let _ = write!(writer.out, "{name}: ");
        writer.node(&grammar.rules[rule])?;
        writer.out.push('\n');
    }
    for (n, class) in writer.classes.iter().enumerate() {
        let _ = writeln!(writer.out, "C{n}: {class}");
    }
    Ok(writer.out)
}

/// The rules reachable from the root, in order of discovery.
fn used_rules(grammar: &Grammar) -> Vec<usize> {
    let mut is_found = vec![false; grammar.rules.len()];
    let mut order = vec![grammar.root];
    is_found[grammar.root] = true;
    let mut next = 0;
    while next < order.len() {
        for rule in rules_in(&grammar.rules[order[next]]) {
            if !std::mem::replace(&mut is_found[rule], true) {
                order.push(rule);
            }
        }
        next += 1;
    }
    order
}

fn rules_in(node: &Node) -> Vec<usize> {
    match node {
        Node::Choice(nodes) | Node::Sequence(nodes) => nodes.iter().flat_map(rules_in).collect(),
        Node::Repeat { node, .. } => rules_in(node),
        Node::Rule(rule) => vec![*rule],
        Node::Class(_) | Node::Token { .. } => Vec::new(),
    }
}

fn has_tokens(node: &Node) -> bool {
    match node {
        Node::Choice(nodes) | Node::Sequence(nodes) => nodes.iter().any(has_tokens),
        Node::Repeat { node, .. } => has_tokens(node),
        Node::Token { .. } => true,
        Node::Rule(_) | Node::Class(_) => false,
    }
}

/// Whether there is no recursion and no rule names a token. Removes rules whose references have all been removed;
/// members of a cycle remain.
fn is_regular(grammar: &Grammar, order: &[usize]) -> bool {
    if order.iter().any(|&rule| has_tokens(&grammar.rules[rule])) {
        return false;
    }
    let n_rules = grammar.rules.len();
    let (mut n_left, mut named_by, mut depths) = (vec![0; n_rules], vec![Vec::new(); n_rules], vec![1; n_rules]);
    for &rule in order {
        for named in rules_in(&grammar.rules[rule]) {
            n_left[rule] += 1;
            named_by[named].push(rule);
        }
    }
    let mut taken: Vec<usize> = order.iter().copied().filter(|&rule| n_left[rule] == 0).collect();
    let mut next = 0;
    while let Some(&named) = taken.get(next) {
        next += 1;
        for &rule in &named_by[named] {
            depths[rule] = depths[rule].max(depths[named] + 1);
            n_left[rule] -= 1;
            if n_left[rule] == 0 {
                taken.push(rule);
            }
        }
    }
    taken.len() == order.len() && depths[grammar.root] <= MAX_DEPTH_OF_LEXEME
}

struct Writer<'a> {
    out: String,
    /// The regular expressions that become terminals, and their numbers.
    classes: Vec<String>,
    numbers: HashMap<String, usize>,
    is_lexeme: bool,
    token: &'a dyn Fn(&str) -> Option<u32>,
}

impl Writer<'_> {
    /// Lark tells terminals from rules by capitals.
    fn rule_name(&self, rule: usize) -> String {
        format!("{}{rule}", if self.is_lexeme { 'R' } else { 'r' })
    }

    fn node(&mut self, node: &Node) -> Result<(), String> {
        match node {
            Node::Choice(nodes) => self.choice(nodes)?,
            Node::Sequence(nodes) if nodes.is_empty() => self.out += "\"\"",
            Node::Sequence(nodes) => {
                for (n, node) in nodes.iter().enumerate() {
                    self.out += if n > 0 { " " } else { "" };
                    self.part(node)?;
                }
            }
            Node::Repeat { node, least, most } => {
                self.out.push('(');
                self.node(node)?;
                match most {
                    Some(most) => drop(write!(self.out, "){{{least},{most}}}")),
                    None => drop(write!(self.out, "){{{least},}}")),
                }
            }
            Node::Class(class) => self.class(class),
            Node::Rule(rule) => {
                let name = self.rule_name(*rule);
                self.out += &name;
            }
            Node::Token { token, is_negated } => {
                let id = match token {
                    Token::Id(id) => *id,
                    Token::Text(text) => (self.token)(text).ok_or_else(|| format!("unknown token `{text}`"))?,
                };
                let _ = write!(self.out, "<[{}{id}]>", if *is_negated { "^" } else { "" });
            }
        }
        Ok(())
    }

    /// A part of a sequence, in parentheses if it has several parts.
    fn part(&mut self, node: &Node) -> Result<(), String> {
        let needs_brackets = matches!(node, Node::Choice(_) | Node::Sequence(_));
        self.out += if needs_brackets { "(" } else { "" };
        self.node(node)?;
        self.out += if needs_brackets { ")" } else { "" };
        Ok(())
    }

    fn choice(&mut self, nodes: &[Node]) -> Result<(), String> {
        for (n, node) in nodes.iter().enumerate() {
            self.out += if n > 0 { " | " } else { "" };
            self.part(node)?;
        }
        Ok(())
    }

    fn class(&mut self, class: &Class) {
        let regex = regex(class);
        if self.is_lexeme {
            self.out += &regex;
            return;
        }
        let next = self.classes.len();
        let number = *self.numbers.entry(regex.clone()).or_insert(next);
        if number == next {
            self.classes.push(regex);
        }
        let _ = write!(self.out, "C{number}");
    }
}

/// One character as a regular expression between slashes; anything but letters and digits is written by number.
fn regex(class: &Class) -> String {
    if class.ranges.is_empty() {
        return "/(?s:.)/".into();
    }
    let mut out = String::from(if class.is_negated { "/[^" } else { "/[" });
    for &(first, last) in &class.ranges {
        push_spelled(&mut out, first);
        if last > first {
            out.push('-');
            push_spelled(&mut out, last);
        }
    }
    out += "]/";
    out
}

fn push_spelled(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() {
        out.push(c);
    } else {
        let _ = write!(out, "\\u{{{:X}}}", u32::from(c));
    }
}
