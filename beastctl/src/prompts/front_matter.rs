//! The settings of a prompt file and their types.

use std::path::Path;

use beast_protocol::Sampling;

use super::{
    parts::{self, Parts},
    prompt::{Mistake, Prompt, SoftLimit},
    schema,
    variables::{self, Variable, is_name},
    yaml::{self, Key, Node, Value, line},
};
use crate::{
    numbers,
    text::{did_you_mean, nearest},
};

const KEYS: [&str; 13] = [
    "description",
    "model",
    "system",
    "variables",
    "sampling",
    "max_tokens",
    "soft_limit",
    "distinct",
    "stop",
    "one_line",
    "think",
    "schema",
    "reduce",
];
/// The placeholder for the text of a new prompt.
const PLACEHOLDER: &str = "Replace this line with the instruction.";
const SAMPLING_KEYS: [&str; 12] = [
    "temp",
    "top_p",
    "top_k",
    "min_p",
    "repeat_penalty",
    "dry_multiplier",
    "dry_base",
    "dry_allowed_length",
    "dry_penalty_last_n",
    "xtc_probability",
    "xtc_threshold",
    "seed",
];

/// Parses the text of a prompt. `folder` contains its file.
pub(super) fn parse(name: &str, text: &str, folder: Option<&Path>) -> Result<Prompt, Mistake> {
    let Parts { settings, settings_line, body, body_line } = parts::split(text, &KEYS)?;
    let yaml = "\n".repeat(settings_line - 1) + settings;
    let settings = yaml::parse(&yaml)?;
    let mut reader = Settings { folder, yaml: &yaml, ..Settings::default() };
    for (key, node) in entries(&settings, "the settings")? {
        reader.set(key, node)?;
    }
    check_written(body, body_line)?;
    let Settings { mut prompt, system, reduce, variable_lines, soft_limit_line, .. } = reader;
    match (prompt.soft_limit, prompt.max_tokens) {
        (Some(SoftLimit::Tokens(_)), None) => {
            let problem = "`soft_limit` needs `max_tokens`, and must be less than that";
            return Err(Mistake::new(soft_limit_line, problem));
        }
        (Some(SoftLimit::Tokens(soft)), Some(most)) if soft >= most => {
            let problem = format!("`soft_limit` is {soft}, but must be less than `max_tokens`");
            return Err(Mistake::new(soft_limit_line, problem));
        }
        _ => {}
    }
    let mut texts = vec![(body, (body_line, body))];
    texts.extend(system.iter().chain(&reduce).map(|node| (text_of(node), (line(node), yaml::source(node, &yaml)))));
    let mut used = Vec::new();
    for (text, source) in texts {
        used.extend(variables::check(text, source, &prompt.variables)?);
    }
    if let Some((Variable { name, .. }, n)) =
        prompt.variables.iter().zip(variable_lines).find(|(v, _)| !used.contains(&v.name.as_str()))
    {
        let problem = Mistake::new(n, format!("unused variable `{name}`"));
        return Err(problem.hint(format!("{{{{{name}}}}} in the text, or without the variable")));
    }
    prompt.name = name.to_owned();
    let body = body.trim().to_owned();
    match &system {
        Some(system) => (prompt.system, prompt.instruction) = (text_of(system).trim().to_owned(), body),
        None => prompt.system = body,
    }
    if prompt.system.is_empty() && prompt.instruction.is_empty() {
        let problem = Mistake::new(text.lines().count().max(1), "the prompt has no text");
        return Err(problem.hint("add an instruction as the text of the file"));
    }
    Ok(prompt)
}

/// Rejects a prompt that still contains the placeholder.
fn check_written(body: &str, line: usize) -> Result<(), Mistake> {
    match body.lines().position(|line| line.trim() == PLACEHOLDER) {
        Some(n) => Err(Mistake::new(line + n, "the prompt has no instruction yet: replace this line")),
        None => Ok(()),
    }
}

fn entries<'a>(node: &'a Node, what: &str) -> Result<&'a [(Key, Node)], Mistake> {
    match &node.value {
        Value::Map(entries) => Ok(entries),
        Value::Nothing => Ok(&[]),
        other => {
            let problem = format!("{what} must be a map, lines of the form `key: value`, not {}", other.kind());
            Err(Mistake::new(line(node), problem))
        }
    }
}

fn text_of(node: &Node) -> &str {
    match &node.value {
        Value::Text(text) => text,
        _ => "",
    }
}

fn wrong_kind(key: &str, expected: &str, node: &Node) -> Mistake {
    Mistake::new(line(node), format!("`{key}` must be {expected}, not {}", node.value.kind()))
}

fn unknown(key: &Key, of: &str, all: &[&str]) -> Mistake {
    let nearest = did_you_mean(nearest(&key.value, all.iter().copied()));
    Mistake::new(line(key), format!("unknown key `{}`{of}{nearest}", key.value))
        .hint(format!("one of {}", all.join(", ")))
}

#[derive(Default)]
struct Settings<'a> {
    folder: Option<&'a Path>,
    /// The YAML that the settings are read from.
    yaml: &'a str,
    prompt: Prompt,
    system: Option<Node>,
    /// The setting `reduce`, if it is a text.
    reduce: Option<Node>,
    /// Lines in which the variables are declared.
    variable_lines: Vec<usize>,
    soft_limit_line: usize,
}

impl Settings<'_> {
    fn set(&mut self, key: &Key, node: &Node) -> Result<(), Mistake> {
        match key.value.as_str() {
            "description" => self.prompt.description = Some(one_line("description", node)?),
            "model" => match one_line("model", node)? {
                name if name.is_empty() => return Err(Mistake::new(line(node), "`model` must not be empty")),
                name => self.prompt.model = Some(name),
            },
            "system" => match &node.value {
                Value::Text(_) => self.system = Some(node.clone()),
                _ => return Err(wrong_kind("system", "text", node)),
            },
            "variables" => {
                for (key, node) in entries(node, "`variables`")? {
                    self.prompt.variables.push(self.variable(key, node)?);
                    self.variable_lines.push(line(key));
                }
            }
            "sampling" => self.prompt.sampling = self.sampling(node)?,
            "max_tokens" => self.prompt.max_tokens = Some(self.number("max_tokens", node, tokens)?),
            "soft_limit" => {
                self.prompt.soft_limit = Some(self.soft_limit(node)?);
                self.soft_limit_line = line(node);
            }
            "distinct" => self.prompt.distinct = switch("distinct", node)?,
            "stop" => self.prompt.stop = stop(node)?,
            "one_line" => self.prompt.one_line = switch("one_line", node)?,
            "think" => self.prompt.think = Some(switch("think", node)?),
            "schema" => self.prompt.schema = Some(schema::read(node, self.folder)?),
            "reduce" => match &node.value {
                Value::Bool(true) => self.prompt.reduce = Some(String::new()),
                Value::Bool(false) => self.prompt.reduce = None,
                // In YAML 1.2 `yes` is a text; and neither that nor `maybe` is meant as an instruction.
                Value::Text(text) if is_word(text) => {
                    let problem = format!("`reduce` is `{}`, but must be true, false, or an instruction", text.trim());
                    return Err(Mistake::new(line(node), problem));
                }
                Value::Text(text) if !text.trim().is_empty() => {
                    self.prompt.reduce = Some(text.trim().to_owned());
                    self.reduce = Some(node.clone());
                }
                _ => return Err(wrong_kind("reduce", "true, false, or an instruction", node)),
            },
            name if SAMPLING_KEYS.contains(&name) => {
                let problem = Mistake::new(line(key), format!("unknown key `{name}`"));
                return Err(problem.hint(format!("put `{name}` under `sampling:`, indented by two more spaces")));
            }
            _ => return Err(unknown(key, "", &KEYS)),
        }
        Ok(())
    }

    fn variable(&self, key: &Key, node: &Node) -> Result<Variable, Mistake> {
        if !is_name(&key.value) {
            let problem = Mistake::new(line(key), format!("invalid variable name `{}`", key.value));
            return Err(problem.hint("use ASCII letters, digits, `_` and `-`"));
        }
        let default = match &node.value {
            Value::Nothing => None,
            Value::Bool(value) => Some(value.to_string()),
            // As written: in a text, 1.50 is not 1.5.
            Value::Number(_) => Some(yaml::source(node, self.yaml).trim().to_owned()),
            Value::Text(text) => Some(text.clone()),
            Value::List(_) | Value::Map(_) => {
                return Err(wrong_kind(&key.value, "text, a number, true or false", node));
            }
        };
        Ok(Variable { name: key.value.clone(), default })
    }

    fn sampling(&self, node: &Node) -> Result<Sampling, Mistake> {
        let mut sampling = Sampling::default();
        for (key, node) in entries(node, "`sampling`")? {
            match key.value.as_str() {
                "temp" => sampling.temp = Some(self.number("temp", node, numbers::temp)?),
                "top_p" => sampling.top_p = Some(self.number("top_p", node, numbers::top_p)?),
                "top_k" => sampling.top_k = Some(self.number("top_k", node, whole)?),
                "min_p" => sampling.min_p = Some(self.number("min_p", node, numbers::min_p)?),
                "repeat_penalty" => {
                    sampling.repeat_penalty = Some(self.number("repeat_penalty", node, numbers::repeat_penalty)?);
                }
                "dry_multiplier" => {
                    sampling.dry_multiplier = Some(self.number("dry_multiplier", node, numbers::dry_multiplier)?);
                }
                "dry_base" => sampling.dry_base = Some(self.number("dry_base", node, numbers::dry_base)?),
                "dry_allowed_length" => {
                    sampling.dry_allowed_length = Some(self.number("dry_allowed_length", node, whole)?);
                }
                "dry_penalty_last_n" => {
                    sampling.dry_penalty_last_n = Some(self.number("dry_penalty_last_n", node, whole)?);
                }
                "xtc_probability" => {
                    sampling.xtc_probability = Some(self.number("xtc_probability", node, numbers::xtc)?);
                }
                "xtc_threshold" => sampling.xtc_threshold = Some(self.number("xtc_threshold", node, numbers::xtc)?),
                "seed" => sampling.seed = Some(self.number("seed", node, whole)?),
                _ => return Err(unknown(key, " of `sampling`", &SAMPLING_KEYS)),
            }
        }
        Ok(sampling)
    }

    /// A number within its range, parsed like the command line's.
    fn soft_limit(&self, node: &Node) -> Result<SoftLimit, Mistake> {
        match &node.value {
            Value::Text(text) if text.trim() == "input" => Ok(SoftLimit::Input),
            Value::Number(_) => self.number("soft_limit", node, tokens).map(SoftLimit::Tokens),
            _ => Err(wrong_kind("soft_limit", "a number or `input`", node)),
        }
    }

    fn number<T>(&self, key: &str, node: &Node, read: impl Fn(&str) -> Result<T, String>) -> Result<T, Mistake> {
        let Value::Number(_) = node.value else { return Err(wrong_kind(key, "a number", node)) };
        let source = yaml::source(node, self.yaml).trim();
        read(source).map_err(|rule| Mistake::new(line(node), format!("`{key}` is {source}, but {rule}")))
    }
}

/// A single ASCII word, which cannot be a sentence. Scripts without spaces between words are not ASCII.
fn is_word(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

fn one_line(key: &str, node: &Node) -> Result<String, Mistake> {
    match &node.value {
        Value::Text(text) if text.trim().contains('\n') => {
            Err(Mistake::new(line(node), format!("`{key}` must be one line")))
        }
        Value::Text(text) => Ok(text.trim().to_owned()),
        _ => Err(wrong_kind(key, "text", node)),
    }
}

fn switch(key: &str, node: &Node) -> Result<bool, Mistake> {
    match node.value {
        Value::Bool(value) => Ok(value),
        _ => Err(wrong_kind(key, "true or false", node)),
    }
}

fn stop(node: &Node) -> Result<Vec<String>, Mistake> {
    let nodes = match &node.value {
        Value::List(nodes) => nodes.iter().collect(),
        _ => vec![node],
    };
    let text = |node: &Node| match &node.value {
        Value::Text(text) if !text.is_empty() => Ok(text.clone()),
        Value::Text(_) => Err(Mistake::new(line(node), "a string in `stop` must not be empty")),
        _ => Err(wrong_kind("stop", "a string or a list of strings", node)),
    };
    nodes.into_iter().map(text).collect()
}

fn whole(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("must be a whole number, from 0 to {}", u32::MAX))
}

fn tokens(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|n| *n >= 1).ok_or_else(|| format!("must be a whole number, from 1 to {}", u32::MAX))
}

#[cfg(test)]
#[path = "front_matter_tests.rs"]
mod tests;
