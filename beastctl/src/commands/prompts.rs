//! `beastctl prompts`: lists prompts and manages the user's files.

use std::{
    fmt::Write as _,
    fs::{self, DirBuilder, File},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use beast_protocol::Sampling;
use serde_json::{Value, json};

use crate::{
    cli::prompt_verb,
    cli::{PromptsAction, PromptsOptions},
    context::Context,
    editor,
    exit::Result,
    input,
    output::{Console, json_line, one_line},
    prompts::{self, Entry, Origin, PromptError, SoftLimit},
    text,
    turn::material,
    wait::Wait,
};

/// The contents of a new prompt: every setting, commented out.
const TEMPLATE: &str = include_str!("../../prompts/template.txt");

pub(super) fn run(context: &Context, options: PromptsOptions) -> Result<()> {
    match options.action {
        None => list(context, options.json),
        Some(PromptsAction::List { json }) => list(context, json),
        Some(PromptsAction::Show { name }) => show(context, &name),
        Some(PromptsAction::New { name, text, from }) => new(context, &name, &text, from.as_deref()),
        Some(PromptsAction::Edit { name }) => edit(context, &name),
        Some(PromptsAction::Path { name }) => path(context, name.as_deref()),
    }
}

fn list(context: &Context, is_json: bool) -> Result<()> {
    // Without a home folder there are still the built-in prompts.
    let folder = prompts::folder().ok();
    let entries = prompts::list(folder.as_deref())?;
    if is_json {
        return Ok(context.console.print(&json_line(&entries.iter().map(object).collect::<Vec<_>>()))?);
    }
    Ok(context.console.print_lines(&table(&entries))?)
}

fn object(entry: &Entry) -> Value {
    let Entry { name, origin, path, prompt } = entry;
    let origin = match origin {
        Origin::BuiltIn => "built_in",
        Origin::Own => "own",
        Origin::OwnInPlace => "own_in_place",
    };
    let mut object = json!({ "name": name, "origin": origin, "path": path });
    match prompt {
        Err(error) => object["error"] = error_line(error).into(),
        Ok(prompt) => {
            let variables = prompt.variables.iter().map(|variable| (variable.name.clone(), json!(variable.default)));
            object["description"] = json!(prompt.description);
            object["variables"] = Value::Object(variables.collect());
            object["system"] = json!(prompt.system);
            object["instruction"] = json!(prompt.instruction);
            object["model"] = json!(prompt.model);
            object["max_tokens"] = json!(prompt.max_tokens);
            object["soft_limit"] = match prompt.soft_limit {
                None => Value::Null,
                Some(SoftLimit::Tokens(n)) => n.into(),
                Some(SoftLimit::Input) => "input".into(),
            };
            object["distinct"] = json!(prompt.distinct);
            object["stop"] = json!(prompt.stop);
            object["one_line"] = json!(prompt.one_line);
            object["think"] = json!(prompt.think);
            object["sampling"] = sampling_object(&prompt.sampling);
            object["schema"] = prompt.schema.as_ref().map_or(Value::Null, |schema| schema_object(schema));
            // Written as in a prompt file.
            object["reduce"] = match prompt.reduce.as_deref() {
                None => false.into(),
                Some("") => true.into(),
                Some(instruction) => instruction.into(),
            };
        }
    }
    object
}

/// The sampling parameters that a prompt can set, which are fewer than the protocol's.
fn sampling_object(sampling: &Sampling) -> Value {
    let Sampling { temp, top_p, top_k, min_p, seed, .. } = sampling;
    let mut object = json!({ "temp": temp, "top_p": top_p, "top_k": top_k, "min_p": min_p, "seed": seed });
    let rare = [
        ("repeat_penalty", json!(sampling.repeat_penalty)),
        ("dry_multiplier", json!(sampling.dry_multiplier)),
        ("dry_base", json!(sampling.dry_base)),
        ("dry_allowed_length", json!(sampling.dry_allowed_length)),
        ("dry_penalty_last_n", json!(sampling.dry_penalty_last_n)),
        ("xtc_probability", json!(sampling.xtc_probability)),
        ("xtc_threshold", json!(sampling.xtc_threshold)),
    ];
    for (name, value) in rare.into_iter().filter(|(_, value)| !value.is_null()) {
        object[name] = value;
    }
    object
}

/// The schema as an object. It was validated when the prompt was read; as a fallback, its text.
fn schema_object(schema: &str) -> Value {
    serde_json::from_str(schema).unwrap_or_else(|_| schema.into())
}

fn error_line(error: &PromptError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}")
}

fn table(entries: &[Entry]) -> String {
    let origin = |entry: &Entry| match entry.origin {
        Origin::BuiltIn => "built in",
        // The command takes precedence.
        Origin::Own if prompt_verb::is_command(&entry.name) => "yours, only with beastctl run",
        Origin::Own => "yours",
        Origin::OwnInPlace => "yours, overrides the built-in one",
    };
    let width = |text: fn(&Entry) -> usize| entries.iter().map(text).max().unwrap_or_default();
    let names = width(|entry| entry.name.chars().count());
    let origins = entries.iter().map(|entry| origin(entry).len()).max().unwrap_or_default();
    let mut table = String::new();
    for entry in entries {
        let about = match &entry.prompt {
            Ok(prompt) => prompt.description.clone().unwrap_or_default(),
            Err(error) => format!("broken: {}", error_line(error)),
        };
        let line = format!("{:<names$}  {:<origins$}  {}", entry.name, origin(entry), one_line(&about));
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{}", line.trim_end());
    }
    table
}

/// Prints the text as written, even if the prompt is broken.
fn show(context: &Context, name: &str) -> Result<()> {
    let mut text = prompts::find(name, prompts::folder().ok().as_deref())?.text;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(context.console.print(&text)?)
}

fn path(context: &Context, name: Option<&str>) -> Result<()> {
    let folder = prompts::folder().map_err(PromptError::from)?;
    let path = match name {
        None => folder,
        Some(name) => {
            let path = prompts::own_file(name, &folder);
            // A broken file has a path too, and the user may want to fix it.
            if prompts::check_name(name).is_ok() && is_there(&path) {
                path
            } else {
                prompts::find(name, Some(&folder))?.path.ok_or_else(|| PromptError::NoFile(name.into()))?
            }
        }
    };
    Ok(context.console.print(&format!("{}\n", path.display()))?)
}

/// Also true for a dangling link.
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn new(context: &Context, name: &str, words: &[String], from: Option<&str>) -> Result<()> {
    prompts::check_name(name)?;
    // The user may override the prompts of commands such as `summarize`.
    if prompt_verb::is_command(name) && !prompts::is_built_in(name) {
        return Err(PromptError::Reserved(name.into()).into());
    }
    let folder = prompts::folder().map_err(PromptError::from)?;
    let path = prompts::own_file(name, &folder);
    let given = match from {
        Some(_) => None,
        None => given(words, context)?,
    };
    if given.is_none() && !words.is_empty() {
        return Err(PromptError::NoText(name.into()).into());
    }
    let text = match (from, &given) {
        (Some(from), _) => prompts::find(from, Some(&folder))?.text,
        (None, Some(given)) => given.clone(),
        (None, None) => TEMPLATE.into(),
    };
    // The template would silently replace a good built-in prompt.
    if from.is_none() && given.is_none() && prompts::is_built_in(name) && !is_there(&path) {
        return Err(PromptError::BuiltIn(name.into()).into());
    }
    if given.is_some() {
        prompts::check_text(name, &text, &folder)?;
    }
    create(&path, name, &text)?;
    context.console.print(&format!("{}\n", path.display()))?;
    let console = context.console;
    if given.is_some() {
        return Ok(());
    }
    if can_edit(console) {
        editor::open(&path)?;
        prompts::load(name, Some(&folder))?;
    } else {
        console.info(&format!("fill in the instruction: beastctl prompts edit {}", text::quoted(name)));
    }
    Ok(())
}

/// The text of a new prompt: what is typed, else what is piped in. Many programs start others with empty stdin.
fn given(words: &[String], context: &Context) -> Result<Option<String>> {
    let text = if !words.is_empty() {
        words.join(" ")
    } else if input::stdin_is_terminal() {
        return Ok(None);
    } else {
        let wait = Wait::default().limited(context.timeout);
        material::hint_at_stdin(&wait, context.console);
        let input = input::read(&[], &wait)?;
        input.warnings.iter().for_each(|warning| context.console.warning(warning));
        input.text
    };
    let text = text.trim();
    Ok((!text.is_empty()).then(|| format!("{text}\n")))
}

/// An editor needs a terminal for input and output.
fn can_edit(console: Console) -> bool {
    console.stdout_is_terminal && console.stderr_is_terminal && input::stdin_is_terminal()
}

/// Creates a new file, completely or not at all.
fn create(path: &Path, name: &str, text: &str) -> Result<(), PromptError> {
    let unwritable = |path: &Path, source| PromptError::Unwritable { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        // Private, because prompts are the user's own business.
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| unwritable(folder, error))?;
    }
    let mut file =
        File::options().write(true).create_new(true).mode(0o600).open(path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => PromptError::Exists { path: path.to_owned(), name: name.to_owned() },
            _ => unwritable(path, error),
        })?;
    file.write_all(text.as_bytes()).map_err(|error| {
        let _ = fs::remove_file(path);
        unwritable(path, error)
    })
}

fn edit(context: &Context, name: &str) -> Result<()> {
    prompts::check_name(name)?;
    let folder = prompts::folder().map_err(PromptError::from)?;
    let path = prompts::own_file(name, &folder);
    let is_own = is_there(&path) && !path.is_dir();
    let text = if is_own { None } else { Some(prompts::find(name, Some(&folder))?.text) };
    if !can_edit(context.console) {
        return Err(PromptError::NoTerminal { name: name.into(), is_own }.into());
    }
    let copy = match text {
        Some(text) => create(&path, name, &text).map(|()| Some(text))?,
        None => None,
    };
    let edited = editor::open(&path);
    // An unchanged copy would only hide improvements in later versions.
    if copy.is_some_and(|copy| beast_launchd::file::read(&path, 1 << 20).is_ok_and(|bytes| bytes == copy.as_bytes())) {
        fs::remove_file(&path).map_err(|source| PromptError::Unwritable { path: path.clone(), source })?;
        edited?;
        context.console.info(&format!("no changes; {name} is still the built-in prompt"));
        return Ok(());
    }
    edited?;
    prompts::load(name, Some(&folder))?;
    Ok(())
}
