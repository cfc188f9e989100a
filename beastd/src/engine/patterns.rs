//! Counts how many patterns a JSON schema applies to one string: llguidance evaluates them in parallel, in states whose
//! number doubles with each, and checks beforehand whether any string satisfies all. Knows no grammar.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

/// Patterns for one string. llguidance itself rejects most schemas with slightly fewer.
const MAX_PATTERNS: usize = 6;
/// Patterns for an object's property names; each is compared with each.
const MAX_NAMES: usize = 32;
/// Bytes of one pattern. With optional parts, memory grows with the square of their number.
const MAX_PATTERN_LEN: usize = 4096;
/// Most sets of schemas to check; the schemas of a set apply to one value.
const MAX_PLACES: usize = 50_000;

/// Checks that a schema is affordable.
///
/// # Errors
/// When it combines too much.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    Walk { root: schema, seen: HashSet::new() }.walk(&[schema], true)
}

struct Walk<'a> {
    root: &'a Value,
    /// Sets of schemas that apply to one value, by address.
    seen: HashSet<(Vec<usize>, bool)>,
}

impl<'a> Walk<'a> {
    /// All of these apply to one value; with `with_choices`, so do their alternatives.
    fn walk(&mut self, schemas: &[&'a Value], with_choices: bool) -> Result<(), String> {
        let all = self.expanded(schemas);
        if !self.seen.insert((all.iter().map(|schema| address(schema)).collect(), with_choices)) {
            return Ok(());
        }
        if self.seen.len() > MAX_PLACES {
            return Err("it combines too many schemas".into());
        }
        if let Some(pattern) =
            all.iter().filter_map(|schema| schema.get("pattern")?.as_str()).find(|text| is_long(text))
        {
            return Err(too_long(pattern));
        }
        let n_patterns = own(&all) + if with_choices { self.n_of_choices(&all) } else { 0 };
        if n_patterns > MAX_PATTERNS {
            return Err(format!("one string must match {n_patterns} patterns; the limit is {MAX_PATTERNS}"));
        }
        if with_choices {
            for choice in choices(&all).flatten() {
                self.walk(&[&all[..], &[choice]].concat(), false)?;
            }
        }
        self.members(&all)
    }

    /// Adds the schemas that also apply: `allOf` and references.
    fn expanded(&self, schemas: &[&'a Value]) -> Vec<&'a Value> {
        let mut all: Vec<&Value> = Vec::new();
        let mut open = schemas.to_vec();
        let mut found = HashSet::new();
        while let Some(schema) = open.pop() {
            if !found.insert(address(schema)) {
                continue;
            }
            all.push(schema);
            open.extend(schema.get("allOf").and_then(Value::as_array).into_iter().flatten());
            open.extend(schema.get("$ref").and_then(Value::as_str).and_then(|place| self.referred(place)));
        }
        all.sort_by_key(|schema| address(schema));
        all
    }

    fn referred(&self, place: &str) -> Option<&'a Value> {
        self.root.pointer(place.strip_prefix('#')?)
    }

    /// The number of patterns in choices, counting for each the branch with the most.
    fn n_of_choices(&self, all: &[&'a Value]) -> usize {
        let most = |branches: &'a Vec<Value>| branches.iter().map(|branch| own(&self.expanded(&[branch]))).max();
        choices(all).filter_map(most).sum()
    }

    /// Checks the schemas that apply to each member of the value.
    fn members(&mut self, all: &[&'a Value]) -> Result<(), String> {
        let entries = |schema: &'a Value, key: &str| schema.get(key).and_then(Value::as_object);
        let names: BTreeSet<&String> =
            all.iter().filter_map(|schema| entries(schema, "properties")).flat_map(|entries| entries.keys()).collect();
        for name in names {
            let of = |schema: &&'a Value| {
                entries(schema, "properties")
                    .and_then(|entries| entries.get(name))
                    .or(schema.get("additionalProperties"))
            };
            let members: Vec<&Value> = all.iter().filter_map(of).collect();
            self.walk(&members, true)?;
        }
        for key in ["items", "additionalProperties"] {
            let members: Vec<&Value> = all.iter().filter_map(|schema| schema.get(key)).collect();
            self.walk(&members, true)?;
        }
        let lists: Vec<&Vec<Value>> =
            all.iter().filter_map(|schema| schema.get("prefixItems").and_then(Value::as_array)).collect();
        for n in 0..lists.iter().map(|list| list.len()).max().unwrap_or(0) {
            let members: Vec<&Value> = lists.iter().filter_map(|list| list.get(n)).collect();
            self.walk(&members, true)?;
        }
        let of_names: Vec<&Value> = all
            .iter()
            .filter_map(|schema| entries(schema, "patternProperties"))
            .flat_map(|entries| entries.values())
            .collect();
        let names =
            all.iter().filter_map(|schema| entries(schema, "patternProperties")).flat_map(|entries| entries.keys());
        if let Some(pattern) = names.into_iter().find(|name| is_long(name)) {
            return Err(too_long(pattern));
        }
        if of_names.len() > MAX_NAMES {
            return Err(format!(
                "one object has {} patterns for property names; the limit is {MAX_NAMES}",
                of_names.len()
            ));
        }
        of_names.into_iter().try_for_each(|schema| self.walk(&[schema], true))
    }
}

fn is_long(pattern: &str) -> bool {
    pattern.len() > MAX_PATTERN_LEN
}

fn too_long(pattern: &str) -> String {
    format!("a pattern is {} bytes long; the limit is {MAX_PATTERN_LEN}", pattern.len())
}

fn own(schemas: &[&Value]) -> usize {
    schemas.iter().filter(|schema| ["pattern", "format"].iter().any(|key| schema.get(key).is_some())).count()
}

/// The branches of each `anyOf` and `oneOf`.
fn choices<'a>(all: &[&'a Value]) -> impl Iterator<Item = &'a Vec<Value>> {
    all.iter().flat_map(|schema| ["anyOf", "oneOf"].map(|key| schema.get(key))).flatten().filter_map(Value::as_array)
}

fn address(schema: &Value) -> usize {
    std::ptr::from_ref(schema).addr()
}

#[cfg(test)]
#[path = "patterns_tests.rs"]
mod tests;
