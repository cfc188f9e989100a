//! What is wrong with a grammar, and in which line. llama.cpp checks grammars too, but says what it finds to stderr alone.
//!
//! The syntax is that of llama.cpp's `grammars/README.md`: rules `name ::= …` of texts, classes, groups, references and repetitions. Only what can
//! be told apart from a mistake is refused here; the rest is left to llama.cpp.

use std::collections::HashMap;

/// llama.cpp reads groups within groups by recursion.
const MAX_DEPTH: usize = 64;

/// Reads a grammar.
///
/// # Errors
/// The first mistake, with its line.
pub(super) fn check(text: &str) -> Result<(), String> {
    let mut reader = Reader { text, rest: text, groups: Vec::new(), defined: HashMap::new(), named: Vec::new() };
    reader.rules()?;
    let Reader { defined, named, .. } = reader;
    if let Some((name, line)) = named.iter().find(|(name, _)| !defined.contains_key(name)) {
        return Err(format!("line {line}: there is no rule `{name}`"));
    }
    if !defined.contains_key("root") {
        return Err("there is no rule `root`, with which an answer begins".into());
    }
    Ok(())
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    /// Lines of the groups that are open.
    groups: Vec<usize>,
    /// Rules, and references to rules, with their lines.
    defined: HashMap<&'a str, usize>,
    named: Vec<(&'a str, usize)>,
}

impl<'a> Reader<'a> {
    fn line(&self) -> usize {
        1 + self.text[..self.text.len() - self.rest.len()].matches('\n').count()
    }

    fn mistake(&self, what: impl std::fmt::Display) -> String {
        format!("line {}: {what}", self.line())
    }

    fn rules(&mut self) -> Result<(), String> {
        while let Some(c) = self.rest.chars().next() {
            match c {
                '#' => self.skip(self.rest.find('\n').unwrap_or(self.rest.len())),
                '"' => self.quoted('"', "text")?,
                '[' => self.quoted(']', "class of characters")?,
                '<' | '!' => self.token()?,
                '{' => self.repetition()?,
                '(' => {
                    self.groups.push(self.line());
                    if self.groups.len() > MAX_DEPTH {
                        return Err(self.mistake(format!("groups are nested deeper than {MAX_DEPTH}")));
                    }
                    self.skip(1);
                }
                ')' => {
                    self.groups.pop().ok_or_else(|| self.mistake("`)` without `(`"))?;
                    self.skip(1);
                }
                '|' | '*' | '+' | '?' | '.' => self.skip(1),
                c if c.is_whitespace() => self.skip(c.len_utf8()),
                c if is_of_name(c) => self.name()?,
                c => return Err(self.mistake(format!("`{c}` means nothing here; texts stand in double quotes"))),
            }
        }
        match self.groups.first() {
            Some(line) => Err(format!("line {line}: `(` without `)`")),
            None => Ok(()),
        }
    }

    /// A rule's beginning, or a reference.
    fn name(&mut self) -> Result<(), String> {
        let line = self.line();
        let len = self.rest.find(|c| !is_of_name(c)).unwrap_or(self.rest.len());
        let name = &self.rest[..len];
        self.skip(len);
        let after = self.rest.trim_start_matches([' ', '\t']);
        if !after.starts_with("::=") {
            if self.defined.is_empty() {
                return Err(format!("line {line}: `{name}` is not followed by `::=`"));
            }
            self.named.push((name, line));
            return Ok(());
        }
        if let Some(open) = self.groups.first() {
            return Err(format!("line {open}: `(` without `)`"));
        }
        self.defined.insert(name, line);
        self.skip(self.rest.len() - after.len() + 3);
        Ok(())
    }

    /// A text or a class, in which `\` takes the meaning of the next character away.
    fn quoted(&mut self, end: char, what: &str) -> Result<(), String> {
        let mut is_escaped = false;
        for (n, c) in self.rest.char_indices().skip(1) {
            if c == end && !is_escaped {
                self.skip(n + 1);
                return Ok(());
            }
            if c == '\n' {
                break;
            }
            is_escaped = c == '\\' && !is_escaped;
        }
        Err(self.mistake(format!("a {what} does not end in its line, `{end}` is missing")))
    }

    /// `<name>` or `<[id]>`, perhaps with `!` before it.
    fn token(&mut self) -> Result<(), String> {
        let line = self.rest.split('\n').next().unwrap_or_default();
        let Some(end) = line.trim_start_matches('!').starts_with('<').then(|| line.find('>')).flatten() else {
            return Err(self.mistake("a token does not end in its line, `>` is missing"));
        };
        self.skip(end + 1);
        Ok(())
    }

    /// `{3}`, `{1,}`, `{1,3}`.
    fn repetition(&mut self) -> Result<(), String> {
        let Some(end) = self.rest.split('\n').next().unwrap_or_default().find('}') else {
            return Err(self.mistake("a repetition does not end in its line, `}` is missing"));
        };
        let bounds = &self.rest[1..end];
        let is_number = |bound: &str| bound.trim().parse::<u32>().is_ok();
        let is_good = match bounds.split_once(',') {
            Some((least, most)) => is_number(least) && (most.trim().is_empty() || is_number(most)),
            None => is_number(bounds),
        };
        if !is_good {
            return Err(self.mistake(format!("`{{{bounds}}}` is no repetition, such as {{3}} or {{1,3}}")));
        }
        self.skip(end + 1);
        Ok(())
    }

    fn skip(&mut self, n_bytes: usize) {
        self.rest = &self.rest[n_bytes..];
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_llama_cpp_takes_is_taken() {
        for text in [
            "root ::= \"yes\" | \"no\"",
            "# a comment \"\nroot ::= (object | \"[\" ws \"]\") ws\nobject ::= \"{\" [^\"\\\\]{1,3} \"}\"\nws ::= | \" \" | \"\\n\" [ \\t]{0,20}",
            "root ::=\n  item+ .?\nitem ::= [a-z\\]]* <[42]> !<think> \"\\x41\\u00fc\\\"\"\n",
            "root  ::= a_b-1{2,}\na_b-1 ::= \"é🦀\"\n",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn mistakes_have_their_lines() {
        let deep = format!("root ::= {}", "(".repeat(100));
        for (text, expected) in [
            ("", "there is no rule `root`, with which an answer begins"),
            ("start ::= \"a\"", "there is no rule `root`, with which an answer begins"),
            ("this is none", "line 1: `this` is not followed by `::=`"),
            ("root ::= \"a\"\n  | item", "line 2: there is no rule `item`"),
            ("root ::= \"a\n\"", "line 1: a text does not end in its line, `\"` is missing"),
            ("\n\nroot ::= [a-z", "line 3: a class of characters does not end in its line, `]` is missing"),
            ("root ::= (\"a\"\nb ::= \"c\"", "line 1: `(` without `)`"),
            ("root ::= (\"a\"", "line 1: `(` without `)`"),
            ("root ::= \"a\")", "line 1: `)` without `(`"),
            ("root ::= \"a\"{x}", "line 1: `{x}` is no repetition, such as {3} or {1,3}"),
            ("root ::= \"a\"{2", "line 1: a repetition does not end in its line, `}` is missing"),
            ("root ::= <think", "line 1: a token does not end in its line, `>` is missing"),
            ("root ::= 'a'", "line 1: `'` means nothing here; texts stand in double quotes"),
            (&deep, "line 1: groups are nested deeper than 64"),
        ] {
            assert_eq!(check(text), Err(expected.into()), "{text}");
        }
    }
}
