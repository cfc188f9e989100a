//! Functions → a grammar in llguidance's Lark that allows free text and only well-formed calls. Knows no tokens
//! except the given atoms.

use std::fmt::Write;

use beast_protocol::{Function, ToolChoice, Tools};
use serde_json::{Map, Value, json};

use super::format::{Dialect, Format};
use super::thought::Thoughts;
use super::{bounds, python};

/// Most calls per answer: a model that loses track repeats them forever.
const MAX_CALLS: usize = 16;

/// A marker in the grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Atom {
    /// Its Lark syntax.
    pub lark: String,
    /// Whether it is a control token, which no text can spell.
    pub is_control: bool,
}

/// A string as a Lark string literal.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// The grammar. `is_thinking` says that the prompt has opened the model's thoughts; `atom` returns how to write a
/// marker.
pub fn lark(tools: &Tools, dialect: Dialect, is_thinking: bool, atom: impl Fn(&str) -> Atom) -> String {
    let is_called = |function: &&Function| match &tools.choice {
        ToolChoice::Named(name) => function.name == *name,
        _ => true,
    };
    let functions: Vec<&Function> = tools.functions.iter().filter(is_called).collect();
    let only_one = tools.only_one || matches!(tools.choice, ToolChoice::Named(_));
    let n_more = if only_one { 0 } else { MAX_CALLS - 1 };
    let mut rules = String::from("FREE: /(.|\\n)*/\n");
    let thoughts = dialect.thoughts.filter(|thoughts| thoughts.is_simple);
    let thought = thoughts.map_or("", |thoughts| thought(&mut rules, thoughts, is_thinking, &atom));
    let opener = match dialect.format {
        Format::Llama3 => Atom { lark: format!("{}?", atom("<|python_tag|>").lark), is_control: false },
        format => atom(format.opener()),
    };
    calls(&mut rules, &functions, dialect.format, &opener, n_more, &atom);
    let body = match tools.choice {
        ToolChoice::Required | ToolChoice::Named(_) => {
            let blank = if thought.is_empty() { "" } else { "BLANK " };
            if !blank.is_empty() {
                rules += "BLANK: /\\n{0,2}/\n";
            }
            format!("{blank}{} calls", opener.lark)
        }
        _ if dialect.format == Format::Llama3 => {
            rules += "PROSE: /(\\s*[^{\\s](.|\\n)*)?/\n";
            format!("({} calls | PROSE)", opener.lark)
        }
        _ if opener.is_control => format!("FREE ({} calls)?", opener.lark),
        _ => {
            let _ = writeln!(rules, "head[lazy]: FREE {}", opener.lark);
            "(head calls | FREE)".to_owned()
        }
    };
    format!("start: {thought} {body}\n{rules}")
}

/// The rules for the thoughts that may precede an answer; returns how `start` refers to them.
fn thought(rules: &mut String, thoughts: &Thoughts, is_thinking: bool, atom: impl Fn(&str) -> Atom) -> &'static str {
    let (open, close) = (atom(thoughts.open), atom(thoughts.close));
    let _ = match close.is_control {
        true => writeln!(rules, "thought: FREE {}", close.lark),
        false => writeln!(rules, "thought[lazy]: FREE {}", close.lark),
    };
    if is_thinking {
        return "thought";
    }
    let _ = writeln!(rules, "thinking: {} thought", open.lark);
    "thinking?"
}

/// The rule `calls`: everything after the opener of the first call.
fn calls(
    rules: &mut String,
    functions: &[&Function],
    format: Format,
    opener: &Atom,
    n_more: usize,
    atom: impl Fn(&str) -> Atom,
) {
    let opener = &opener.lark;
    let more = |text: String| if n_more == 0 { String::new() } else { format!(" ({text}){{0,{n_more}}}") };
    let closer = || atom(format.closer()).lark;
    let calls = match format {
        Format::Hermes => {
            let one = format!("\"\\n\" call \"\\n\" {}", closer());
            let more = more(format!("\"\\n\" {opener} {one}"));
            one + &more
        }
        Format::Lfm2 => format!("\"[\" call{} \"]\" {}", more("\", \" call".into()), closer()),
        Format::Llama3 => "call".into(),
        Format::Mistral => format!("\"[\" call{} \"]\"", more("\", \" call".into())),
        Format::MistralArgs => format!("call{}", more(format!("{opener} call"))),
    };
    let _ = writeln!(rules, "calls: {calls}");
    let names: Vec<String> = (0..functions.len()).map(|n| format!("call_{n}")).collect();
    let _ = writeln!(rules, "call: {}", names.join(" | "));
    for (n, function) in functions.iter().enumerate() {
        let schema = schema(function);
        if format == Format::Lfm2 {
            python::call(rules, n, &function.name, &schema);
            continue;
        }
        let _ = writeln!(rules, "args_{n}: {}", arguments(&schema));
        let head = |key: &str| quoted(&format!("{{\"name\": {}, \"{key}\": ", Value::from(&*function.name)));
        let _ = match format {
            Format::MistralArgs => {
                writeln!(rules, "call_{n}: {} {} args_{n}", quoted(&function.name), atom("[ARGS]").lark)
            }
            Format::Mistral => {
                let id = r#"(", \"id\": \"" /[a-zA-Z0-9]{9}/ "\"")?"#;
                writeln!(rules, "call_{n}: {} args_{n} {id} \"}}\"", head("arguments"))
            }
            Format::Llama3 => writeln!(rules, "call_{n}: {} args_{n} \"}}\"", head("parameters")),
            _ => writeln!(rules, "call_{n}: {} args_{n} \"}}\"", head("arguments")),
        };
    }
}

/// The parameters of a function; an empty object if it takes none.
pub fn schema(function: &Function) -> Value {
    let mut schema = serde_json::from_str(&function.parameters).unwrap_or_else(|_| json!({}));
    close(&mut schema, true);
    bounds::bound_integers(&mut schema);
    schema
}

fn arguments(schema: &Value) -> String {
    let mut schema = schema.clone();
    let Some(object) = schema.as_object_mut() else { return "\"{}\"".into() };
    if object.get("properties").and_then(Value::as_object).is_none_or(Map::is_empty)
        && object.get("additionalProperties") == Some(&Value::Bool(false))
    {
        return "\"{}\"".into();
    }
    object.insert("x-guidance".into(), json_options());
    format!("%json {schema}")
}

/// The JSON options used for all schemas; anything that llguidance does not support is left to the model.
pub fn json_options() -> Value {
    json!({ "item_separator": ", ", "key_separator": ": ", "whitespace_flexible": false, "lenient": true })
}

/// Forbids undeclared properties, unless the schema allows them.
fn close(schema: &mut Value, is_outermost: bool) {
    const OPENS: [&str; 9] = [
        "additionalProperties",
        "patternProperties",
        "unevaluatedProperties",
        "allOf",
        "anyOf",
        "oneOf",
        "$ref",
        "if",
        "not",
    ];
    match schema {
        Value::Object(object) => {
            if is_outermost && !object.contains_key("$ref") {
                object.entry("type").or_insert_with(|| "object".into());
            }
            let declares = is_outermost || object.get("properties").is_some_and(Value::is_object);
            if declares && !OPENS.iter().any(|key| object.contains_key(*key)) {
                object.insert("additionalProperties".into(), false.into());
            }
            for (key, value) in object.iter_mut() {
                match key.as_str() {
                    "properties" | "$defs" | "definitions" => {
                        value.as_object_mut().into_iter().flatten().for_each(|(_, schema)| close(schema, false));
                    }
                    "items" | "anyOf" | "oneOf" | "prefixItems" => close(value, false),
                    _ => {}
                }
            }
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(|schema| close(schema, false)),
        _ => {}
    }
}

#[cfg(test)]
#[path = "grammar_tests.rs"]
mod tests;
