//! The synopsis of a manual page: each option with its value, one per line.

use clap::{Arg, ArgAction, Command};
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

pub(super) fn section(command: &Command) -> Roff {
    let mut roff = Roff::default();
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    roff.control("SH", ["SYNOPSIS"]).text([bold(name)]);
    let (positionals, mut options): (Vec<&Arg>, Vec<&Arg>) = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set())
        .partition(|argument| argument.is_positional());
    options.sort_by_key(|option| option.get_display_order());
    for option in options {
        roff.text(optional(option.is_required_set(), named(option), is_repeated(option)));
    }
    for positional in positionals {
        let is_list = positional.get_num_args().is_some_and(|range| range.max_values() > 1);
        roff.text(optional(positional.is_required_set(), value(positional), is_list));
    }
    if command.has_subcommands() {
        roff.text(optional(command.is_subcommand_required_set(), vec![italic("COMMAND")], false));
    }
    roff
}

fn is_repeated(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append | ArgAction::Count)
}

fn optional(is_required: bool, mut words: Vec<Inline>, is_list: bool) -> Vec<Inline> {
    if !is_required {
        words.insert(0, roman("["));
        words.push(roman("]"));
    }
    if is_list {
        words.push(roman("..."));
    }
    words
}

fn named(option: &Arg) -> Vec<Inline> {
    let short = option.get_short().map(|short| format!("-{short}"));
    let long = option.get_long().map(|long| format!("--{long}"));
    let mut words = Vec::new();
    for name in short.into_iter().chain(long) {
        if !words.is_empty() {
            words.push(roman("|"));
        }
        words.push(bold(name));
    }
    let range = option.get_num_args().unwrap_or_default();
    if range.takes_values() {
        let is_optional = range.min_values() == 0;
        words.push(roman(if is_optional { " [" } else { " " }));
        words.extend(value(option));
        words.extend(is_optional.then(|| roman("]")));
    }
    words
}

fn value(argument: &Arg) -> Vec<Inline> {
    let names = argument.get_value_names().unwrap_or_default();
    vec![italic(names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" "))]
}
