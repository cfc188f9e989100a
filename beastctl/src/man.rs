//! `beastctl man`: the manual, made from the parser, so that it says of commands and options what the program does.
//! What the parser does not know stands in the lists below: exit codes, variables without an option, files.

mod synopsis;

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use clap::CommandFactory;
use clap_mangen::{
    Man,
    roff::{Roff, bold, italic, roman},
};

use crate::{
    cli::{Cli, ManOptions},
    context::Context,
    exit::{self, During as _, Failing, Result},
    output::{OutputError, WholeFile},
    prompts, text,
    wait::Wait,
};

/// The day on which what the pages say was last looked through.
const DATE: &str = "2026-11-27";

const EXIT_CODES: [(&str, &str); 8] = [
    ("0", "Done; also when the reader of stdout had seen enough."),
    ("1", "The request failed."),
    ("2", "The command line, a prompt or the input makes no sense."),
    ("3", "The daemon cannot be reached."),
    ("4", "The input is too long."),
    (
        "5",
        "The answer was cut, under --strict; or it is not what --schema, --grammar or -x asked for, and nothing is printed.",
    ),
    ("75", "The daemon is busy or ending; the same command may succeed later."),
    ("130", "Ctrl-C."),
];

/// Beside those that belong to an option, which are taken from the parser.
const ENVIRONMENT: [(&str, &str); 10] = [
    ("NO_COLOR", "No colours, when it is not empty."),
    ("CLICOLOR_FORCE", "Colours everywhere, when it is neither empty nor 0 and NO_COLOR is not set."),
    ("BEAST_MARKDOWN", "`never`: the Markdown of answers is not painted; the same as --no-markdown."),
    ("BEAST_LOG_CONVERSATIONS", "`never`: no conversation is kept that nobody has named; the same as --no-log."),
    ("BEAST_HOOK", "false, no, off, 0 or nothing: the git hook does nothing."),
    ("VISUAL, EDITOR", "What `beastctl prompts edit` and `new` open; arguments are allowed."),
    ("SHELL", "Whose script `beastctl completions` prints."),
    ("XDG_CONFIG_HOME", "Where the folder beast of the configuration and the prompts is, instead of ~/.config."),
    (
        "XDG_DATA_HOME",
        "Where the folder beast of the models and conversations is, instead of ~/.local/share; not on macOS.",
    ),
    ("XDG_RUNTIME_DIR", "Where the folder beast of the socket is; not on macOS."),
];

const FILES: [(&str, &str); 7] = [
    ("~/.config/beast/config.toml", "The settings of beastd; `beastd --print-config` shows them all."),
    ("~/.config/beast/prompts/NAME.md", "A prompt of your own, and so the command `beastctl NAME`."),
    ("~/.local/share/beast/models", "Models. On macOS ~/Library/Application Support/beast/models."),
    (
        "~/.local/share/beast/conversations",
        "Conversations, a file each. On macOS ~/Library/Application Support/beast/conversations.",
    ),
    ("~/.local/share/beast/chat-history", "The lines typed into chats; on macOS likewise."),
    ("~/.local/state/beast/logs", "The log of the daemon, a file a day. On macOS ~/Library/Logs/beast."),
    ("$XDG_RUNTIME_DIR/beast/beastd.sock", "The daemon. On macOS in ~/Library/Application Support/beast."),
];

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ManError {
    /// No such command.
    #[error("there is no command `{command}`{}", text::did_you_mean(nearest.as_deref()))]
    Unknown {
        /// What was asked for.
        command: String,
        /// The most similar one.
        nearest: Option<String>,
    },
}

impl Failing for ManError {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }

    fn hint(&self) -> Option<String> {
        Some("beastctl man, whose page lists the commands".into())
    }
}

/// Prints a page, or writes all of them.
pub(super) fn run(context: &Context, options: &ManOptions) -> Result<()> {
    let mut command = Cli::command();
    command.build();
    match &options.dir {
        Some(dir) => write_all(&command, dir),
        None => {
            let page = page(find(&command, &options.command)?)?;
            if context.console.stdout_is_terminal && is_shown(&page)? {
                return Ok(());
            }
            Ok(context.console.print(&page)?)
        }
    }
}

/// Shows a page as the system shows its own; `false` where nothing here can do that.
fn is_shown(page: &str) -> Result<bool> {
    // man-db reads a page from stdin with `-l -`; elsewhere man does not, but is mostly made of mandoc.
    let man: &[(&str, &[&str])] = if cfg!(target_os = "linux") { &[("man", &["-l", "-"])] } else { &[] };
    // Ctrl-C belongs to the pager: whoever ends before it leaves the terminal to two readers.
    let _wait = Wait::start_with_children(None).context("cannot watch for Ctrl-C")?;
    Ok(man.iter().chain([&("mandoc", &["-a"][..])]).any(|(program, arguments)| shows(program, arguments, page)))
}

fn shows(program: &str, arguments: &[&str], page: &str) -> bool {
    // What it complains about helps nobody who gets the page after all.
    let child = Command::new(program).args(arguments).stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
    child.is_ok_and(|mut child| {
        if let Some(mut stdin) = child.stdin.take() {
            // It may have seen enough before the end.
            let _ = stdin.write_all(page.as_bytes());
        }
        child.wait().is_ok_and(|status| status.success())
    })
}

fn find<'a>(mut command: &'a clap::Command, words: &[String]) -> Result<&'a clap::Command, ManError> {
    for word in words {
        command = command.find_subcommand(word).ok_or_else(|| ManError::Unknown {
            command: words.join(" "),
            nearest: text::nearest(word, command.get_subcommands().map(clap::Command::get_name)).map(str::to_owned),
        })?;
    }
    Ok(command)
}

fn write_all(command: &clap::Command, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|source| OutputError::File { path: dir.to_owned(), source })?;
    for command in all(command) {
        let name = format!("{}.1", command.get_display_name().unwrap_or(command.get_name()));
        WholeFile::create(&dir.join(name))?.finish(&page(command)?)?;
    }
    Ok(())
}

/// A command and all beneath it.
fn all(command: &clap::Command) -> Vec<&clap::Command> {
    let beneath = command.get_subcommands().filter(|command| !command.is_hide_set()).flat_map(all);
    std::iter::once(command).chain(beneath).collect()
}

fn page(command: &clap::Command) -> Result<String> {
    let source = concat!("beast ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).date(DATE).source(source).manual("beast");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis::section(command).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    notes(command, &mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let is_root = command.get_name() == "beastctl";
    if is_root {
        prompts_as_commands(&mut page)?;
    }
    examples(command, &mut page)?;
    let exit_codes = EXIT_CODES.map(|(code, text)| (code.to_owned(), text.to_owned()));
    section("EXIT STATUS", &exit_codes, &mut page)?;
    section("ENVIRONMENT", &environment(command, is_root), &mut page)?;
    if is_root {
        section("FILES", &FILES.map(|(file, text)| (file.to_owned(), text.to_owned())), &mut page)?;
    } else {
        let mut roff = Roff::default();
        roff.control("SH", ["SEE ALSO"]).text([bold("beastctl"), roman("(1)")]);
        roff.to_writer(&mut page)?;
    }
    // Two breaks with a blank line between them are more than mandoc likes to see.
    Ok(once(&String::from_utf8_lossy(&page)).replace("\n.br\n\n.br\n", "\n.sp\n"))
}

/// Every section brings roff's definition of an apostrophe; the page needs it once.
fn once(page: &str) -> String {
    let mut page_once = String::with_capacity(page.len());
    let mut known = Vec::new();
    for line in page.split_inclusive('\n') {
        let is_definition = line.starts_with(".ie ") || line.starts_with(".el ");
        if is_definition && known.contains(&line) {
            continue;
        }
        if is_definition {
            known.push(line);
        }
        page_once += line;
    }
    page_once
}

/// What the help says after the options: text, and examples.
fn after_help(command: &clap::Command) -> (String, String) {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (notes, rest) = text.split_once("Examples:\n").unwrap_or((text.as_str(), ""));
    // Examples are indented; what follows them is not, and has a section of its own here.
    let examples = rest.lines().take_while(|line| line.starts_with(' ')).map(str::trim_start);
    (notes.trim().to_owned(), examples.collect::<Vec<_>>().join("\n"))
}

fn notes(command: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    let (notes, _) = after_help(command);
    let mut roff = Roff::default();
    if !notes.is_empty() {
        roff.control("PP", []);
    }
    for line in notes.lines() {
        roff.text([roman(line)]);
    }
    roff.to_writer(page)
}

fn examples(command: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    let (_, examples) = after_help(command);
    if examples.is_empty() {
        return Ok(());
    }
    let mut roff = Roff::default();
    // As it is typed: lines are kept.
    roff.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in examples.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.to_writer(page)
}

fn prompts_as_commands(page: &mut Vec<u8>) -> io::Result<()> {
    let mut roff = Roff::default();
    roff.control("SH", ["PROMPTS"]);
    roff.text([roman("Every prompt is a command too, with the options of "), bold("beastctl-run"), roman("(1): ")]);
    roff.text([bold("beastctl "), italic("PROMPT"), roman(" ["), italic("FILE"), roman("]...")]);
    roff.control("PP", []);
    roff.text([bold("beastctl prompts"), roman(" lists them, "), bold("beastctl prompts new "), italic("NAME")]);
    roff.text([roman("begins one of your own. Built in:")]);
    let names = prompts::names(None);
    roff.text([roman(names.join(", ")), roman(".")]);
    roff.to_writer(page)
}

/// Those of options, with their help, and for the whole program those without an option.
fn environment(command: &clap::Command, is_root: bool) -> Vec<(String, String)> {
    let of_options = command.get_arguments().filter_map(|argument| {
        let name = argument.get_env()?.to_string_lossy().into_owned();
        let option = argument.get_long()?;
        Some((name, format!("The same as --{option}, which is stronger.")))
    });
    let others = ENVIRONMENT.iter().filter(|_| is_root).map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    of_options.chain(others).collect()
}

fn section(title: &str, items: &[(String, String)], page: &mut Vec<u8>) -> io::Result<()> {
    let mut roff = Roff::default();
    roff.control("SH", [title]);
    for (name, text) in items {
        roff.control("TP", []).text([bold(name.as_str())]).text([roman(text.as_str())]);
    }
    roff.to_writer(&mut *page)?;
    page.flush()
}
