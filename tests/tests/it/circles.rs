//! Finds import cycles between files, from `use` lines and paths outside tests. Too long a cycle is really a single
//! file in many pieces.

use std::collections::{BTreeMap, BTreeSet};

use crate::rooms::{Source, sources};

/// Files in a cycle; for example, a parent that uses its children and is used by them.
const MOST: usize = 4;

#[test]
fn no_circle_has_more_than_four_files() {
    for folder in ["protocol/src", "launchd/src", "kernels/src", "beastctl/src", "beastd/src"] {
        let modules = modules(folder);
        let circles = circles(&modules);
        let large: Vec<_> = circles.iter().filter(|circle| circle.len() > MOST).collect();
        assert!(large.is_empty(), "in {folder}: {large:#?}");
    }
}

/// Higher floors may import lower ones. A new import upwards needs a reason, here and in a decision.
#[test]
fn the_rooms_of_the_client_know_only_those_below() {
    const FLOORS: [&[&str]; 13] = [
        &["commands"],
        &["doctor"],
        &["alfred", "bench", "chat", "completions", "decide", "embed", "hook", "logs", "man", "map", "service"],
        &["turn"],
        &["cli"],
        &["prompts", "models", "git", "conversations"],
        &["exchange"],
        &["constraint", "input", "settings", "start", "stop"],
        &["client", "context", "machine"],
        &["editor", "output", "program"],
        &["wait"],
        &["exit"],
        &["text", "numbers", "escapes"],
    ];
    let floor = |room: &str| FLOORS.iter().position(|rooms| rooms.contains(&room));
    let mut upwards = Vec::new();
    for source in sources("beastctl/src") {
        let room = place(&source.path, "beastctl/src").remove(0);
        let Some(from) = floor(&room) else {
            assert!(["lib", "main"].contains(&room.as_str()), "{room} has no floor");
            continue;
        };
        for path in paths(&source.code).into_iter().filter(|path| path[0] == "crate" && path.len() > 1) {
            let to = floor(&path[1]).unwrap_or_else(|| panic!("{} names {path:?}", source.path));
            if path[1] != room && to <= from {
                upwards.push(format!("{room} → {} ({})", path[1], source.path));
            }
        }
    }
    assert!(upwards.is_empty(), "{upwards:#?}");
}

/// Modules by their path, each with the modules that it imports.
type Modules = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

fn modules(folder: &str) -> Modules {
    let sources: Vec<(Vec<String>, Source)> =
        sources(folder).into_iter().map(|source| (place(&source.path, folder), source)).collect();
    let sources: Vec<_> =
        sources.into_iter().filter(|(place, _)| !matches!(place[0].as_str(), "lib" | "main")).collect();
    let known: BTreeSet<Vec<String>> = sources.iter().map(|(place, _)| place.clone()).collect();
    let named = |(place, source): (Vec<String>, Source)| {
        let found = paths(&source.code).into_iter().filter_map(|path| target(&known, &place, &path));
        let found = found.filter(|found| *found != place).collect();
        (place, found)
    };
    sources.into_iter().map(named).collect()
}

fn place(path: &str, folder: &str) -> Vec<String> {
    let below = path.strip_prefix(folder).expect("it lies there").trim_start_matches('/').trim_end_matches(".rs");
    let below = below.strip_suffix("/mod").unwrap_or(below);
    below.split('/').map(str::to_owned).collect()
}

/// The module that a path leads to.
fn target(known: &BTreeSet<Vec<String>>, from: &[String], path: &[String]) -> Option<Vec<String>> {
    let n_up = path.iter().take_while(|name| *name == "super").count();
    let mut full = match path[0].as_str() {
        "crate" => path[1..].to_vec(),
        "self" => [from, &path[1..]].concat(),
        "super" => [&from[..from.len().checked_sub(n_up)?], &path[n_up..]].concat(),
        _ => [from, path].concat(),
    };
    let is_child = !["crate", "self", "super"].contains(&path[0].as_str());
    while !full.is_empty() {
        if known.contains(&full) {
            // A path that does not begin with a keyword names a child or another crate.
            return (!is_child || full.len() > from.len()).then_some(full);
        }
        full.pop();
    }
    None
}

/// Every path in `use` lines, and every other qualified path.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let mut others = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let is_word = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let end = if is_word { rest[at..].find(';').map_or(rest.len(), |end| at + end) } else { at + 4 };
        others += &rest[..at];
        if is_word {
            expand(&[], &rest[at + 4..end], &mut paths);
        }
        rest = &rest[end..];
    }
    others += rest;
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for word in others.split(|c| !is_part(c)).filter(|word| word.contains("::") && !word.starts_with(':')) {
        paths.push(word.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect());
    }
    // `pub(in crate::commands)` declares visibility and imports nothing.
    paths.retain(|path: &Vec<String>| !path.is_empty() && !code.contains(&format!("pub(in {})", path.join("::"))));
    paths
}

/// Expands `a::{b, c::d}` to `a::b` and `a::c::d`.
fn expand(prefix: &[String], tree: &str, paths: &mut Vec<Vec<String>>) {
    let mut depth = 0;
    let is_end = |c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    };
    for part in tree.split(is_end).map(str::trim).filter(|part| !part.is_empty()) {
        let (head, inner) = match part.split_once('{') {
            Some((head, inner)) => (head.trim_end_matches("::"), Some(inner.strip_suffix('}').unwrap_or(inner))),
            None => (part.split(" as ").next().unwrap_or(part), None),
        };
        let names = head.split("::").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let path: Vec<String> = prefix.iter().cloned().chain(names).collect();
        match inner {
            Some(inner) => expand(&path, inner, paths),
            None => paths.push(path),
        }
    }
}

/// Groups of modules that reach each other, computed by brute force, since there are few.
fn circles(modules: &Modules) -> Vec<BTreeSet<&Vec<String>>> {
    let reach = |from| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(place) = open.pop() {
            for next in modules.get(place).into_iter().flatten() {
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<_, _> = modules.keys().map(|place| (place, reach(place))).collect();
    let mut circles: Vec<BTreeSet<&Vec<String>>> = Vec::new();
    for place in modules.keys().filter(|place| reached[place].contains(place)) {
        if !circles.iter().any(|circle| circle.contains(place)) {
            circles.push(reached[place].iter().copied().filter(|other| reached[other].contains(place)).collect());
        }
    }
    circles
}

#[test]
fn paths_are_taken_apart() {
    let paths: Vec<_> = paths("use crate::{a::{B, self}, c as d};\nlet x = super::e::f();")
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(paths, ["crate::a::B", "crate::a::self", "crate::c", "super::e::f"]);
}
