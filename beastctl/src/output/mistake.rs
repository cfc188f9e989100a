//! Turns clap's errors into one line in our own words.

use beast_launchd::{Advised, shown::one_line};

/// clap's terms (arguments, subcommands) and those of our help (options, commands), and Rust's messages about digits
/// and target types. All other texts stay as they are.
const WORDS: [(&str, &str); 9] = [
    ("unexpected argument '-", "unknown option '-"),
    ("unrecognized subcommand '", "unknown command '"),
    ("' found", "'"),
    ("a similar argument exists: ", "did you mean "),
    ("a similar subcommand exists: ", "did you mean "),
    ("some similar subcommands exist: ", "did you mean one of "),
    ("a similar value exists: ", "did you mean "),
    ("invalid digit found in string", "must be a whole number"),
    ("number too large to fit in target type", "is too large"),
];

/// The mistake, its advice, and where to find help. `command` is the command that the mistake belongs to, which clap
/// rarely names.
pub fn usage_line(text: &str, command: &str) -> String {
    let (mistake, _) = text.split_once("\nUsage: ").unwrap_or((text, ""));
    let mistake = mistake.split("\nFor more information").next().unwrap_or_default();
    let mistake = one_line(mistake.strip_prefix("error: ").unwrap_or(mistake)).replace(" tip: ", "; ");
    let mistake = WORDS.iter().fold(mistake, |mistake, (theirs, ours)| mistake.replace(theirs, ours));
    let mistake = rebuilt(&mistake).unwrap_or(mistake);
    let question = if mistake.contains("; did you mean ") { "?" } else { "" };
    match Advised::new(&mistake) {
        mistake @ Advised { step: Some(_), .. } => mistake.to_string(),
        Advised { text, .. } => Advised { text: text + question, step: Some(format!("{command} --help")) }.to_string(),
    }
}

/// Rewrites sentences whose word order differs from ours.
fn rebuilt(mistake: &str) -> Option<String> {
    if let Some(names) = mistake.strip_prefix("the following required arguments were not provided: ") {
        return Some(format!("missing {names}"));
    }
    if let Some(option) = mistake.strip_prefix("a value is required for ") {
        return Some(format!("{} needs a value", option.strip_suffix(" but none was supplied")?));
    }
    if let Some((number, range)) = mistake.split_once(" is not in ")
        && let Some((first, last)) = range.split_once("..=")
    {
        return Some(format!("{number} is not a number from {first} to {last}"));
    }
    // Leaves out clap's list of commands, which includes hidden ones; the help lists them.
    let (command, _) = mistake.split_once(" requires a subcommand but one was not provided")?;
    Some(format!("{command} needs a subcommand"))
}
