//! `beastctl man`: manual pages, generated from the parser so that they always match the program's commands and
//! options. What the parser does not know comes from the lists below (variables without an option, files) and from
//! `exit`.

mod synopsis;

use std::{
    collections::HashSet,
    fs,
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
    program::Running,
    prompts,
    text::{did_you_mean, nearest},
    wait::Wait,
};

/// beastd's page, which is written by hand. The generated pages have its date.
const BEASTD: &str = include_str!("../../packaging/man/beastd.1");

/// Variables without an option; the parser knows the others.
const ENVIRONMENT: [(&str, &str); 10] = [
    ("NO_COLOR", "Disables colours unless empty."),
    ("CLICOLOR_FORCE", "Forces colours unless empty or 0; NO_COLOR wins."),
    ("BEAST_MARKDOWN", "`never` prints Markdown as it is, like --no-markdown."),
    ("BEAST_LOG_CONVERSATIONS", "`never` saves only named conversations, like --no-log."),
    ("BEAST_HOOK", "false, no, off, 0 or empty disables the git hook."),
    ("VISUAL, EDITOR", "The editor for `beastctl prompts edit` and `new`; arguments are allowed."),
    ("SHELL", "The default shell for `beastctl completions`."),
    ("XDG_CONFIG_HOME", "Parent of the folder beast with configuration and prompts, instead of ~/.config."),
    (
        "XDG_DATA_HOME",
        "Parent of the folder beast with models and conversations, instead of ~/.local/share; not on macOS.",
    ),
    ("XDG_RUNTIME_DIR", "Parent of the folder beast with the socket; not on macOS."),
];

const FILES: [(&str, &str); 7] = [
    ("~/.config/beast/config.toml", "Settings of beastd; `beastd --print-config` shows all of them."),
    ("~/.config/beast/prompts/NAME.md", "Your own prompts, each a command `beastctl NAME`."),
    ("~/.local/share/beast/models", "Models. On macOS ~/Library/Application Support/beast/models."),
    (
        "~/.local/share/beast/conversations",
        "Conversations, one file each. On macOS ~/Library/Application Support/beast/conversations.",
    ),
    ("~/.local/share/beast/chat-history", "Input history of chats; on macOS in ~/Library/Application Support/beast."),
    ("~/.local/state/beast/logs", "Log of the daemon, one file per day. On macOS ~/Library/Logs/beast."),
    ("$XDG_RUNTIME_DIR/beast/beastd.sock", "Socket of the daemon. On macOS in ~/Library/Application Support/beast."),
];

#[derive(Debug, thiserror::Error)]
pub enum ManError {
    #[error(
        "unknown command `{command}`{}; try: beastctl man, which lists the commands",
        did_you_mean(nearest.as_deref())
    )]
    Unknown { command: String, nearest: Option<String> },
}

impl Failing for ManError {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

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

/// Shows a page in the system's viewer for manual pages; `false` if there is none.
fn is_shown(page: &str) -> Result<bool> {
    // man-db reads a page from stdin with `-l -`. Other man programs cannot, but most of them are mandoc, which can.
    let man: &[(&str, &[&str])] = if cfg!(target_os = "linux") { &[("man", &["-l", "-"])] } else { &[] };
    // Ctrl-C is for the pager: if this process ended first, pager and shell would both read from the terminal.
    let _wait = Wait::start_with_children(None).context("cannot watch for Ctrl-C")?;
    Ok(man.iter().chain([&("mandoc", &["-a"][..])]).any(|(program, arguments)| shows(program, arguments, page)))
}

fn shows(program: &str, arguments: &[&str], page: &str) -> bool {
    // Its warnings do not help a user who gets to see the page.
    let shown = Running::start(Command::new(program).args(arguments).stderr(Stdio::null()), page.into());
    let status = shown.and_then(|mut running| running.status(None, &Wait::default(), || {}));
    status.is_ok_and(|status| status.success())
}

fn find<'a>(mut command: &'a clap::Command, words: &[String]) -> Result<&'a clap::Command, ManError> {
    for word in words {
        command = command.find_subcommand(word).ok_or_else(|| ManError::Unknown {
            command: words.join(" "),
            nearest: nearest(word, command.get_subcommands().map(clap::Command::get_name)).map(str::to_owned),
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

fn all(command: &clap::Command) -> Vec<&clap::Command> {
    let beneath = command.get_subcommands().filter(|command| !command.is_hide_set()).flat_map(all);
    std::iter::once(command).chain(beneath).collect()
}

/// The day on which the pages were last reviewed, from `.TH beastd 1 DATE ...`.
fn date() -> &'static str {
    BEASTD.split(' ').nth(3).unwrap_or_default()
}

fn page(command: &clap::Command) -> Result<String> {
    let source = concat!("beast ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).date(date()).source(source).manual("beast");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis::section(command).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    let (notes, examples) = after_help(command);
    let mut roff = Roff::default();
    if !notes.is_empty() {
        roff.control("PP", []);
        lines(&notes, &mut roff);
    }
    roff.to_writer(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    own_sections(command, &examples).to_writer(&mut page)?;
    // mandoc warns about two breaks with a blank line between them.
    Ok(once(&String::from_utf8_lossy(&page)).replace("\n.br\n\n.br\n", "\n.sp\n"))
}

/// Removes repeated definitions of roff's apostrophe: each section from the parser has one, the page needs one.
fn once(page: &str) -> String {
    let mut known = HashSet::new();
    let is_definition = |line: &str| line.starts_with(".ie ") || line.starts_with(".el ");
    page.split_inclusive('\n').filter(|line| !is_definition(line) || known.insert(*line)).collect()
}

/// The help after the options: notes and examples.
fn after_help(command: &clap::Command) -> (String, String) {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (notes, rest) = text.split_once("Examples:\n").unwrap_or((text.as_str(), ""));
    // Examples are indented. What follows them is not; this page has a section of its own for it.
    let examples = rest.lines().take_while(|line| line.starts_with(' ')).map(str::trim_start);
    (notes.trim().to_owned(), examples.collect::<Vec<_>>().join("\n"))
}

/// Sections that the parser does not generate.
fn own_sections(command: &clap::Command, examples: &str) -> Roff {
    let mut roff = Roff::default();
    let is_root = command.get_name() == "beastctl";
    if is_root {
        prompts_as_commands(&mut roff);
    }
    if !examples.is_empty() {
        // `nf` keeps line breaks.
        roff.control("SH", ["EXAMPLES"]).control("nf", []);
        lines(examples, &mut roff);
        roff.control("fi", []);
    }
    roff.control("SH", ["EXIT STATUS"]);
    items(exit::CODES.map(|code| (code.number.to_string(), sentence(code.meaning))), &mut roff);
    roff.control("SH", ["ENVIRONMENT"]);
    items(command.get_arguments().filter_map(variable), &mut roff);
    if is_root {
        items(ENVIRONMENT, &mut roff);
        roff.control("SH", ["FILES"]);
        items(FILES, &mut roff);
    } else {
        roff.control("SH", ["SEE ALSO"]).text([bold("beastctl"), roman("(1)")]);
    }
    roff
}

fn prompts_as_commands(roff: &mut Roff) {
    roff.control("SH", ["PROMPTS"]);
    roff.text([roman("Every prompt is also a command, with the options of "), bold("beastctl-run"), roman("(1): ")]);
    roff.text([bold("beastctl "), italic("PROMPT"), roman(" ["), italic("FILE"), roman("]...")]);
    roff.control("PP", []);
    roff.text([bold("beastctl prompts"), roman(" lists them, "), bold("beastctl prompts new "), italic("NAME")]);
    roff.text([roman("creates your own. Built in:")]);
    roff.text([roman(prompts::names(None).join(", ")), roman(".")]);
}

/// The variable that sets an option, with its help.
fn variable(option: &clap::Arg) -> Option<(String, String)> {
    let (name, option) = (option.get_env()?.to_string_lossy(), option.get_long()?);
    Some((name.into_owned(), format!("Same as --{option}, which overrides it.")))
}

/// Adds a capital letter and a full stop, and drops backticks, since a page marks options in its own way.
fn sentence(words: &str) -> String {
    let words = words.replace('`', "");
    format!("{}{}.", words[..1].to_uppercase(), &words[1..])
}

fn lines(text: &str, roff: &mut Roff) {
    for line in text.lines() {
        roff.text([roman(line)]);
    }
}

fn items<T: Into<String>>(items: impl IntoIterator<Item = (T, T)>, roff: &mut Roff) {
    for (name, text) in items {
        roff.control("TP", []).text([bold(name)]).text([roman(text)]);
    }
}
