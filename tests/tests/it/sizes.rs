//! Limits on the length of lines, functions and files. Reads formatted source as text.

use std::path::{Path, PathBuf};
use std::process::Command;

use beast_tests::{project, skip};

use crate::rooms::sources;

const MOST_LINES_OF_A_FILE: usize = 500;
const MOST_LINES_OF_A_FUNCTION: usize = 60;
const MOST_COLUMNS: usize = 120;
const MOST_BYTES_OF_A_FILE: u64 = 100_000;

const FOLDERS: [&str; 5] = ["protocol/src", "launchd/src", "kernels/src", "beastctl/src", "beastd/src"];

#[test]
fn no_function_has_more_than_sixty_lines_and_no_line_more_than_120_columns() {
    let mut found = Vec::new();
    for source in FOLDERS.into_iter().flat_map(sources) {
        let text = std::fs::read_to_string(project(&source.path)).expect("source is text");
        let long = long_functions(&source.code);
        let long = long.into_iter().map(|(name, n)| format!("{}: {name} has {n} lines", source.path));
        let wide = wide_lines(&text);
        let wide = wide.into_iter().map(|(line, n)| format!("{}:{line} has {n} columns", source.path));
        found.extend(long.chain(wide));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_file_has_more_than_five_hundred_lines() {
    for path in FOLDERS.into_iter().flat_map(|folder| files(&project(folder))) {
        let n_lines = std::fs::read_to_string(&path).expect("source is text").lines().count();
        assert!(n_lines <= MOST_LINES_OF_A_FILE, "{} has {n_lines} lines", path.display());
    }
}

/// A download that is committed by mistake stays in every clone, even after it is deleted.
#[test]
fn only_the_built_in_models_are_large() {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(project("")).output();
    let Some(listed) = listed.ok().filter(|listed| listed.status.success()) else {
        return skip("not a git checkout");
    };
    let listed = String::from_utf8(listed.stdout).expect("names are text");
    let others = listed.split_terminator('\0').filter(|path| !path.starts_with("models/cub/"));
    let n_bytes = |path: &str| std::fs::metadata(project(path)).map_or(0, |metadata| metadata.len());
    let large: Vec<_> = others.filter(|path| n_bytes(path) > MOST_BYTES_OF_A_FILE).collect();
    assert!(large.is_empty(), "{large:#?}");
}

/// All source files, including tests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is there").flatten().map(|entry| entry.path());
    let is_source = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    let (folders, found): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let here = found.into_iter().filter(is_source);
    folders.iter().flat_map(|folder| files(folder)).chain(here).collect()
}

/// Functions with their number of lines, from the line with `fn` to the closing brace of the same indentation.
fn long_functions(code: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut long = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function(line) else { continue };
        let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
        // A function without a body, or with its body on the same line, ends there.
        let is_short = line.ends_with([';', '}']);
        let n_lines = if is_short { 1 } else { lines[at..].iter().position(|line| *line == end).map_or(1, |n| n + 1) };
        if n_lines > MOST_LINES_OF_A_FUNCTION {
            long.push((name, n_lines));
        }
    }
    long
}

/// The name of the function that begins on this line.
fn function(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    // `pub(in crate::x) extern "C"` and the like; not `let x = "fn `.
    let is_head = before.trim_start().chars().all(|c| c.is_alphanumeric() || "_():\" ".contains(c));
    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty());
    name.filter(|_| is_head)
}

fn wide_lines(text: &str) -> Vec<(usize, usize)> {
    let widths = text.lines().map(|line| line.chars().count());
    (1..).zip(widths).filter(|(_, n)| *n > MOST_COLUMNS).collect()
}

#[test]
fn what_is_too_long_is_found() {
    let body = "        let x = 1;\n".repeat(59);
    let code = format!(
        "impl X {{\n    pub(super) async fn long(\n        &self,\n    ) {{\n{body}    }}\n\n    fn short() {{}}\n}}\n"
    );
    assert_eq!(long_functions(&code), [("long", 63)]);
    assert_eq!(long_functions("trait X {\n    fn declared(&self);\n}\n"), []);
    assert_eq!(wide_lines(&format!("{}\n{}\n", "ä".repeat(120), "x".repeat(121))), [(2, 121)]);
}
