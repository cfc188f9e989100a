//! JSON schemas → Lark rules for Python literals: keyword arguments in declared order. A schema that it cannot
//! express allows any literal.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::{Map, Value};

use super::format::python_literal;
use super::grammar::{json_options, quoted};

/// Rules that any function may need; unused ones cost nothing.
const COMMON: &str = r#"
py_any: PY_STR | PY_NUM | "True" | "False" | "None" | py_list | py_dict
py_list: "[" (py_any (", " py_any)*)? "]"
py_dict: "{" (PY_STR ": " py_any (", " PY_STR ": " py_any)*)? "}"
PY_NUM: /-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?/
PY_STR: /'([^'\\\x00-\x1f\x7f]|\\['"\\nrt])*'|"([^"\\\x00-\x1f\x7f]|\\['"\\nrt])*"/
"#;

/// Writes the rule `call_N` and those it depends on.
pub fn call(rules: &mut String, n: usize, name: &str, schema: &Value) {
    if !rules.contains("py_any:") {
        *rules += COMMON;
    }
    let mut writer = Writer { rules, root: schema, prefix: format!("v{n}"), n_rules: 0, refs: HashMap::new() };
    let properties = schema.get("properties").and_then(Value::as_object);
    let is_plain = ["anyOf", "oneOf", "allOf", "$ref"].iter().all(|key| schema.get(key).is_none());
    let has_names = properties.is_none_or(|properties| properties.keys().all(|key| is_name(key)));
    let arguments = match properties {
        Some(properties) if is_plain && has_names => {
            writer.members(schema, properties, &|key, rule| format!("{} {rule}", quoted(&format!("{key}="))))
        }
        None if is_plain && schema.get("additionalProperties") == Some(&Value::Bool(false)) => "\"\"".into(),
        _ => format!("\"**\" {}", if is_plain { writer.value(schema) } else { "py_dict".into() }),
    };
    let _ = writeln!(rules, "call_{n}: {} {arguments} \")\"", quoted(&format!("{name}(")));
}

fn is_name(key: &str) -> bool {
    !key.is_empty()
        && !key.starts_with(|c: char| c.is_ascii_digit())
        && key.chars().all(|c| c.is_alphanumeric() || c == '_')
}

struct Writer<'a> {
    rules: &'a mut String,
    root: &'a Value,
    prefix: String,
    n_rules: usize,
    /// Rule names by reference.
    refs: HashMap<String, String>,
}

impl Writer<'_> {
    fn rule(&mut self, body: &str) -> String {
        let name = self.new_name();
        let _ = writeln!(self.rules, "{name}: {body}");
        name
    }

    fn new_name(&mut self) -> String {
        self.n_rules += 1;
        format!("{}_{}", self.prefix, self.n_rules)
    }

    /// A rule name or other atom that matches a value of this schema.
    fn value(&mut self, schema: &Value) -> String {
        let Some(object) = schema.as_object() else { return "py_any".into() };
        if let Some(pointer) = object.get("$ref").and_then(Value::as_str) {
            return self.referred(pointer);
        }
        if let Some(value) = object.get("const") {
            return quoted(&python_literal(value));
        }
        if let Some(values) = object.get("enum").and_then(Value::as_array) {
            let spell = |value: &Value| match value {
                // Models use either kind of quote.
                Value::String(text) if !text.contains(['"', '\'', '\\']) => {
                    let single = python_literal(value);
                    format!("{} | {}", quoted(&single), quoted(&format!("\"{}\"", &single[1..single.len() - 1])))
                }
                value => quoted(&python_literal(value)),
            };
            let values: Vec<String> = values.iter().map(spell).collect();
            return if values.is_empty() { "py_any".into() } else { self.rule(&values.join(" | ")) };
        }
        if let Some(schemas) = object.get("anyOf").or(object.get("oneOf")).and_then(Value::as_array) {
            let rules: Vec<String> = schemas.iter().map(|schema| self.value(schema)).collect();
            return self.rule(&rules.join(" | "));
        }
        match object.get("type") {
            Some(Value::String(kind)) => self.of_type(kind, object),
            Some(Value::Array(kinds)) => {
                let kinds = kinds.iter().filter_map(Value::as_str);
                let rules: Vec<String> = kinds.map(|kind| self.of_type(kind, object)).collect();
                self.rule(&rules.join(" | "))
            }
            _ if object.get("properties").is_some() => self.of_type("object", object),
            _ => "py_any".into(),
        }
    }

    fn of_type(&mut self, kind: &str, schema: &Map<String, Value>) -> String {
        match kind {
            "string" => string(schema),
            "integer" | "number" => {
                // JSON numbers are valid in Python.
                let mut number: Map<String, Value> = schema.clone();
                number.retain(|key, _| {
                    matches!(&**key, "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf")
                });
                // Bounded numbers have no exponent. Unbounded ones get a rule that limits their digits.
                if kind == "number" && number.is_empty() {
                    return "PY_NUM".into();
                }
                number.insert("type".into(), kind.into());
                number.insert("x-guidance".into(), json_options());
                self.rule(&format!("%json {}", Value::Object(number)))
            }
            "boolean" => "(\"True\" | \"False\")".into(),
            "null" => "\"None\"".into(),
            "array" => self.array(schema),
            "object" => self.object(schema),
            _ => "py_any".into(),
        }
    }

    fn array(&mut self, schema: &Map<String, Value>) -> String {
        let item = schema.get("items").map_or("py_any".into(), |items| self.value(items));
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
        let n_min = bound("minItems").unwrap_or(0);
        let most = match bound("maxItems") {
            Some(0) => return "\"[]\"".into(),
            Some(n) => n.max(n_min).saturating_sub(1).to_string(),
            None => String::new(),
        };
        let items = format!("{item} (\", \" {item}){{{},{most}}}", n_min.saturating_sub(1));
        self.rule(&if n_min == 0 { format!("\"[\" ({items})? \"]\"") } else { format!("\"[\" {items} \"]\"") })
    }

    fn object(&mut self, schema: &Map<String, Value>) -> String {
        let key = |key: &str, rule: &str| {
            let single = python_literal(&Value::from(key));
            let double = Value::from(key).to_string();
            format!("({} | {}) {rule}", quoted(&format!("{single}: ")), quoted(&format!("{double}: ")))
        };
        match schema.get("properties").and_then(Value::as_object) {
            Some(properties) if !properties.is_empty() => {
                let members = self.members(&Value::Object(schema.clone()), properties, &key);
                self.rule(&format!("\"{{\" {members} \"}}\""))
            }
            _ => {
                let value = match schema.get("additionalProperties") {
                    Some(Value::Bool(false)) => return "\"{}\"".into(),
                    Some(schema) => self.value(schema),
                    None => "py_any".into(),
                };
                self.rule(&format!("\"{{\" (PY_STR \": \" {value} (\", \" PY_STR \": \" {value})*)? \"}}\""))
            }
        }
    }

    /// Members in declared order, some optional. Each member has two rules: for what follows if no member has been
    /// written yet, and if some have.
    fn members(
        &mut self,
        schema: &Value,
        properties: &Map<String, Value>,
        write: &dyn Fn(&str, &str) -> String,
    ) -> String {
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |key: &str| required.is_some_and(|keys| keys.iter().any(|name| name == key));
        let (mut first, mut rest) = ("\"\"".to_owned(), "\"\"".to_owned());
        for (key, schema) in properties.iter().rev() {
            let value = self.value(schema);
            let member = write(key, &value);
            let (if_first, if_rest) = (format!("{member} {rest}"), format!("\", \" {member} {rest}"));
            if is_required(key) {
                (first, rest) = (self.rule(&if_first), self.rule(&if_rest));
            } else {
                (first, rest) =
                    (self.rule(&format!("{if_first} | {first}")), self.rule(&format!("{if_rest} | {rest}")));
            }
        }
        first
    }

    /// The rule for a reference, written once even if the schema is recursive.
    fn referred(&mut self, pointer: &str) -> String {
        if let Some(name) = self.refs.get(pointer) {
            return name.clone();
        }
        let Some(schema) = pointer.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)).cloned() else {
            return "py_any".into();
        };
        let name = self.new_name();
        self.refs.insert(pointer.to_owned(), name.clone());
        let value = self.value(&schema);
        let _ = writeln!(self.rules, "{name}: {value}");
        name
    }
}

fn string(schema: &Map<String, Value>) -> String {
    let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
    let (n_min, n_max) = (bound("minLength"), bound("maxLength"));
    if n_min.is_none() && n_max.is_none() {
        return "PY_STR".into();
    }
    let times = format!("{{{},{}}}", n_min.unwrap_or(0), n_max.map_or(String::new(), |n| n.to_string()));
    let (single, double) = (r#"([^'\\\x00-\x1f\x7f]|\\['"\\nrt])"#, r#"([^"\\\x00-\x1f\x7f]|\\['"\\nrt])"#);
    format!("/'{single}{times}'|\"{double}{times}\"/")
}
