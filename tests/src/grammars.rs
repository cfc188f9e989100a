//! Random grammars and schemas, valid and hostile ones. Knows their syntax, not their effect on the daemon.

use beast_protocol::Constraint;
use serde_json::{Map, Value, json};

use crate::dice::Dice;

/// A grammar or schema. One in four is hostile: it demands excessive states, memory or time, or never ends.
pub fn constraint(dice: &mut Dice) -> Constraint {
    let is_hostile = dice.below(4) == 0;
    match (dice.below(2), is_hostile) {
        (0, false) => Constraint::Grammar(grammar(dice)),
        (0, true) => Constraint::Grammar(hostile_grammar(dice)),
        (_, false) => Constraint::Schema(schema(dice, 0).to_string()),
        (_, true) => Constraint::Schema(hostile_schema(dice)),
    }
}

fn grammar(dice: &mut Dice) -> String {
    let n_rules = 1 + dice.below(6);
    let rule = |n: usize, dice: &mut Dice| {
        let name = if n == 0 { "root".to_owned() } else { format!("r{n}") };
        let choices: Vec<String> = (0..1 + dice.below(3)).map(|_| sequence(dice, n_rules, 0)).collect();
        format!("{name} ::= {}\n", choices.join(" | "))
    };
    (0..n_rules).map(|n| rule(n, dice)).collect()
}

fn sequence(dice: &mut Dice, n_rules: usize, depth: usize) -> String {
    let items: Vec<String> = (0..1 + dice.below(4)).map(|_| item(dice, n_rules, depth)).collect();
    items.join(" ")
}

fn item(dice: &mut Dice, n_rules: usize, depth: usize) -> String {
    let base = match dice.below(if depth < 3 { 6 } else { 4 }) {
        0 => format!("\"{}\"", dice.one_of(&["a", "yes", "{", "é", "\\n", "", "\\\"", "one two"])),
        1 => dice.one_of(&["[a-z]", "[^a]", "[0-9A-F]", ".", "[ \\t]", "[é-ü]"]).to_owned(),
        // Sometimes the rule itself, sometimes one that does not exist.
        2 | 3 => match dice.below(n_rules + 1) {
            0 => "root".to_owned(),
            n => format!("r{n}"),
        },
        _ => format!("({} | {})", sequence(dice, n_rules, depth + 1), sequence(dice, n_rules, depth + 1)),
    };
    base + dice.one_of(&["", "", "", "*", "+", "?", "{3}", "{2,}", "{0,9}"])
}

/// The kinds that once blocked all clients.
fn hostile_grammar(dice: &mut Dice) -> String {
    let n = dice.one_of(&[24, 250, 3000, 20_000]);
    match dice.below(12) {
        0 => "root ::= \"a\"{5,2}".to_owned(),
        1 => format!("root ::= {}", "[a-z]? ".repeat(n)),
        2 => format!("root ::= {}", "\"a\"? ".repeat(n)),
        3 => format!("root ::= [a-z]{{0,{n}}} [a-z]{{0,{n}}}"),
        4 => format!("root ::= (((\"a\"{{{n}}}){{{n}}}){{{n}}})"),
        5 => format!("root ::= {}\"a\"{}", "(".repeat(n), ")".repeat(n)),
        6 => "root ::= \"yes\" <[999999]> \"no\"".to_owned(),
        7 => "root ::= root \"a\" | root".to_owned(),
        // Each rule doubles the next.
        8 => (0..40).map(|n| format!("{} ::= r{} r{}\n", name(n), n + 1, n + 1)).collect::<String>() + "r40 ::= \"a\"?",
        9 => format!("root ::= {}", (0..n).map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(" | ")),
        10 => "root ::= a* b\na ::= \"x\"? | a a\nb ::= (a | b)*".to_owned(),
        _ => format!("root ::= ([^{}] | .)* \"end\"", "a-z".repeat(n)),
    }
}

fn name(n: usize) -> String {
    if n == 0 { "root".to_owned() } else { format!("r{n}") }
}

fn schema(dice: &mut Dice, depth: usize) -> Value {
    let n = dice.below(5);
    match dice.below(if depth < 3 { 9 } else { 6 }) {
        0 => json!({ "type": "string", "minLength": n, "maxLength": n + dice.below(40) }),
        1 => json!({ "type": dice.one_of(&["integer", "number"]), "minimum": n, "maximum": 1000 }),
        2 => json!({ "enum": ["x", 1, null, n, { "a": n }] }),
        3 => json!({ "type": ["boolean", "null"] }),
        4 => json!({ "type": "string", "pattern": dice.one_of(&["^[a-z]{1,9}$", "^\\d{4}-\\d{2}$", "(ab|c)+"]) }),
        5 => json!({ "type": "string", "format": dice.one_of(&["date-time", "uuid", "email", "ipv4", "unknown"]) }),
        6 => json!({ "type": "array", "items": schema(dice, depth + 1), "minItems": n, "maxItems": n + 2 }),
        7 => json!({ "anyOf": [schema(dice, depth + 1), schema(dice, depth + 1)] }),
        _ => {
            let names = ["name", "age", "tags", "a b", "é"];
            let properties: Map<String, Value> =
                names[..=n].iter().map(|name| ((*name).to_owned(), schema(dice, depth + 1))).collect();
            json!({
                "type": "object", "properties": properties, "required": names[..=dice.below(n + 1)],
                "additionalProperties": dice.below(2) == 0,
            })
        }
    }
}

fn hostile_schema(dice: &mut Dice) -> String {
    let n = dice.one_of(&[50, 1000, 5000]);
    match dice.below(10) {
        0 => json!({ "enum": (0..n).map(|n| json!({ "id": n, "name": format!("name {n}") })).collect::<Vec<_>>() })
            .to_string(),
        1 => json!({ "$ref": "#" }).to_string(),
        2 => json!({ "type": "string", "pattern": "^(a*)*(a|aa)+b{1,9999}$" }).to_string(),
        3 => json!({ "type": "string", "minLength": 99_999_999 }).to_string(),
        4 => json!({ "type": "array", "items": { "$ref": "#" }, "minItems": n }).to_string(),
        5 => "{\"items\":".repeat(n) + "true" + &"}".repeat(n),
        6 => {
            let properties: Map<String, Value> =
                (0..n).map(|n| (format!("p{n}"), json!({ "type": "number" }))).collect();
            json!({ "type": "object", "properties": properties }).to_string()
        }
        7 => json!({ "allOf": (0..n).map(|n| json!({ "pattern": format!("x{{{n}}}") })).collect::<Vec<_>>() })
            .to_string(),
        8 => json!({ "type": "string", "pattern": "[a-z]?".repeat(n) }).to_string(),
        _ => {
            let next = |n: usize| json!({ "$ref": format!("#/$defs/d{}", n + 1) });
            let of = |n: usize| json!({ "anyOf": [next(n), { "items": next(n) }] });
            let defs: Map<String, Value> =
                (0..60).map(|n| (format!("d{n}"), of(n))).chain([("d60".to_owned(), json!(true))]).collect();
            json!({ "$defs": defs, "$ref": "#/$defs/d0" }).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_of_every_kind() {
        let of = |seed: u64| -> Vec<Constraint> { (0..400).map(|n| constraint(&mut Dice::new(seed + n))).collect() };
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(1000));
        let has = |part: &str| {
            of(3).iter().any(|constraint| match constraint {
                Constraint::Grammar(text) | Constraint::Schema(text) => text.contains(part),
            })
        };
        for part in
            ["{5,2}", "[a-z]? [a-z]?", "\"a\"? \"a\"?", "<[999999]>", "{\"$ref\":\"#\"}", "99999999", "name 4999"]
        {
            assert!(has(part), "{part}");
        }
    }
}
