//! The memory that llguidance needs for a grammar that is one regular expression: for each suffix of a sequence, its
//! possible first parts. With many optional parts, suffixes have many first parts each, and none of llguidance's own
//! limits counts them.

use super::{Grammar, Node};

/// First parts of all suffixes, at about 50 bytes each.
const MAX_WEIGHT: usize = 2_000_000;

/// Of a node: whether it may be empty, its first parts, and the sum over its children.
#[derive(Debug, Clone, Copy)]
struct Weight {
    is_empty: bool,
    n_first: usize,
    n_all: usize,
}

/// Whether a grammar without recursion stays within the limit.
pub(super) fn is_light(grammar: &Grammar) -> bool {
    let mut known = vec![None; grammar.rules.len()];
    of_rule(grammar, grammar.root, &mut known);
    let total = known.iter().flatten().fold(0_usize, |sum, weight: &Weight| sum.saturating_add(weight.n_all));
    total <= MAX_WEIGHT
}

fn of_rule(grammar: &Grammar, rule: usize, known: &mut Vec<Option<Weight>>) -> Weight {
    if let Some(weight) = known[rule] {
        return weight;
    }
    let weight = of_node(grammar, &grammar.rules[rule], known);
    known[rule] = Some(weight);
    weight
}

fn of_node(grammar: &Grammar, node: &Node, known: &mut Vec<Option<Weight>>) -> Weight {
    match node {
        Node::Class(_) | Node::Token { .. } => Weight { is_empty: false, n_first: 1, n_all: 1 },
        // The children of a rule are counted with the rule.
        Node::Rule(rule) => Weight { n_all: 0, ..of_rule(grammar, *rule, known) },
        Node::Repeat { node, least, .. } => {
            let weight = of_node(grammar, node, known);
            Weight { is_empty: weight.is_empty || *least == 0, ..weight }
        }
        Node::Choice(nodes) => {
            let none = Weight { is_empty: false, n_first: 0, n_all: 0 };
            nodes.iter().fold(none, |sum, node| {
                let weight = of_node(grammar, node, known);
                Weight {
                    is_empty: sum.is_empty || weight.is_empty,
                    n_first: sum.n_first.saturating_add(weight.n_first),
                    n_all: sum.n_all.saturating_add(weight.n_all),
                }
            })
        }
        // From the end: a suffix starts with its first part, and if that is optional also with what follows.
        Node::Sequence(nodes) => {
            let nothing = Weight { is_empty: true, n_first: 0, n_all: 0 };
            nodes.iter().rev().fold(nothing, |rest, node| {
                let weight = of_node(grammar, node, known);
                let of_rest = if weight.is_empty { rest.n_first } else { 0 };
                let n_first = weight.n_first.saturating_add(of_rest);
                let n_all = rest.n_all.saturating_add(weight.n_all).saturating_add(n_first);
                Weight { is_empty: weight.is_empty && rest.is_empty, n_first, n_all }
            })
        }
    }
}

#[cfg(test)]
#[path = "weight_tests.rs"]
mod tests;
