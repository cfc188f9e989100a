//! `models list` and `models show`: named models, models on disk, the model in use.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use beast_launchd::model::BUILTIN;
use serde_json::{Value, json};

use super::{InUse, file_of, not_here};
use crate::{
    context::Context,
    exit::Result,
    models::{
        ModelError,
        catalogue::{self, Entry},
        check,
        folder::{self, Local, Record},
        hub::Hub,
        upstream::{self, Upstream},
        url_shown,
    },
    output::{Facts, json_line, one_line, units::bytes},
    text::quoted,
};

struct Row {
    name: String,
    entry: Option<Entry>,
    /// The path where it is, or would be.
    path: PathBuf,
    local: Option<Local>,
    partial: Option<u64>,
    /// The target of a link that no longer exists.
    lost: Option<PathBuf>,
    record: Option<Record>,
    is_in_use: bool,
    /// Why it cannot be loaded.
    damage: Option<String>,
    /// Set if another server computes it.
    upstream: Option<Upstream>,
}

pub(super) fn list(context: &Context, is_json: bool) -> Result<()> {
    let rows = rows(&InUse::find(context)?)?;
    if is_json {
        let objects: Vec<Value> = rows.iter().map(object).collect();
        return Ok(context.console.print(&json_line(&Value::from(objects)))?);
    }
    Ok(context.console.print_lines(&table(&rows))?)
}

pub(super) fn show(context: &Context, name: &str, is_json: bool) -> Result<()> {
    let folder = folder::dir()?;
    let path = folder.join(file_of(&folder, name)?);
    let rows = rows(&InUse::find(context)?)?;
    let is_upstream = |row: &&Row| row.upstream.is_some() && row.name.eq_ignore_ascii_case(name);
    let row = rows.iter().find(|row| row.path == path).or_else(|| rows.iter().find(is_upstream));
    let row = row.ok_or_else(|| not_here(name))?;
    Ok(if is_json {
        context.console.print(&json_line(&object(row)))
    } else {
        context.console.print_lines(&details(row))
    }?)
}

fn rows(in_use: &InUse) -> Result<Vec<Row>> {
    let folder = folder::dir()?;
    let local = folder::list(&folder)?;
    let entries = catalogue::entries();
    let is_other = |local: &&Local| !entries.iter().any(|entry| entry.file == local.file);
    let mut others: Vec<String> = local.iter().filter(is_other).map(|local| local.file.clone()).collect();
    others.extend(folder::leftovers(&folder)?.into_iter().filter(|file| catalogue::of_file(file).is_none()));
    others.sort();
    let others = others.iter().map(|file| (file.strip_suffix(".gguf").unwrap_or(file), None, file));
    let named = entries.iter().map(|entry| (entry.name.as_str(), Some(entry), &entry.file));
    let row = |(name, entry, file): (&str, Option<&Entry>, &String)| {
        let path = folder.join(file);
        let local = local.iter().find(|local| local.file == *file).cloned();
        let is_in_use = local.is_some() && in_use.is(&path)?;
        let partial = folder::partial(&path);
        let record = folder::record(&path).filter(|_| local.is_some());
        let damage = local.as_ref().and_then(|local| damage(&local.path));
        let lost = fs::read_link(&path).ok().filter(|_| local.is_none());
        let entry = entry.cloned();
        Ok(Row { name: name.into(), lost, entry, local, partial, record, is_in_use, damage, path, upstream: None })
    };
    let mut rows = named.chain(others).map(row).collect::<Result<Vec<_>>>()?;
    rows.extend(in_use.elsewhere()?.into_iter().map(Row::elsewhere));
    rows.extend(upstream::all().into_iter().map(Row::upstream));
    Ok(rows)
}

/// Why a model file is damaged. An unreadable file does not count, because nothing is known about it.
fn damage(path: &Path) -> Option<String> {
    match check::gguf(path) {
        Ok(()) | Err(ModelError::File { .. }) => None,
        Err(error) => Some(error.to_string()),
    }
}

impl Row {
    /// A row for a model in use that is outside the models folder; `None` is the built-in model.
    fn elsewhere(path: Option<PathBuf>) -> Self {
        let name = path.as_ref().map_or_else(|| BUILTIN.into(), |path| path.display().to_string());
        let bytes = path.as_ref().and_then(|path| Some(fs::metadata(path).ok()?.len()));
        let damage = path.as_deref().and_then(damage);
        let local = bytes.zip(path.clone()).map(|(bytes, path)| Local { file: name.clone(), path, bytes, link: None });
        let path = path.unwrap_or_default();
        Self { path, local, is_in_use: true, damage, ..Self::empty(name) }
    }

    /// A row for a model that another server computes.
    fn upstream(upstream: Upstream) -> Self {
        Self { upstream: Some(upstream.clone()), ..Self::empty(upstream.name) }
    }

    fn empty(name: String) -> Self {
        Self {
            name,
            entry: None,
            path: PathBuf::new(),
            local: None,
            partial: None,
            lost: None,
            record: None,
            is_in_use: false,
            damage: None,
            upstream: None,
        }
    }

    fn bytes(&self) -> Option<u64> {
        let of_entry = || self.entry.as_ref().map(|entry| entry.bytes);
        self.local.as_ref().map(|local| local.bytes).or_else(of_entry)
    }

    fn state(&self) -> &'static str {
        if self.upstream.is_some() {
            return "upstream";
        }
        match (&self.local, self.partial) {
            (Some(_), _) if self.damage.is_some() => "damaged",
            (Some(_), _) if self.is_in_use => "in use",
            (Some(_), _) => "here",
            (None, _) if self.is_in_use => "in use",
            (None, Some(_)) => "partial",
            (None, None) if self.lost.is_some() => "lost",
            (None, None) => "",
        }
    }

    fn licence(&self) -> Option<&str> {
        let of_record = self.record.as_ref().and_then(|record| record.licence.as_deref());
        self.entry.as_ref().map(|entry| entry.licence.as_str()).or(of_record)
    }

    /// The servers that compute it.
    fn servers(&self) -> Option<String> {
        self.upstream.as_ref().map(|upstream| upstream.urls.join(", "))
    }

    fn size(&self) -> String {
        let is_rounded = self.local.is_none() && self.entry.as_ref().is_some_and(|entry| entry.approximate);
        let about = if is_rounded { "about " } else { "" };
        self.bytes().map(|n| format!("{about}{}", bytes(n))).unwrap_or_default()
    }
}

/// A row per model: name, size, state, purpose.
fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or_default();
    let n_state = if rows.iter().any(|row| row.upstream.is_some()) { "upstream".len() } else { "partial".len() };
    let mut text = String::new();
    for row in rows {
        let about = match (&row.entry, row.state(), row.partial) {
            (_, "partial", Some(n)) => so_far(row, n),
            (_, "damaged", _) => row.damage.clone().unwrap_or_default(),
            (_, "lost", _) => lost(row),
            (_, "upstream", _) => row.servers().unwrap_or_default(),
            (Some(entry), ..) => format!("{}; {}", entry.about, entry.licence),
            (None, ..) if row.name == BUILTIN => "the tiny model built into beastd".into(),
            (None, ..) => row.record.as_ref().map(|record| record.url.clone()).unwrap_or_default(),
        };
        let (name, size, about) = (one_line(&row.name), row.size(), one_line(&about));
        let line = format!("{name:width$}  {size:>8}  {:n_state$}  {about}", row.state());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn details(row: &Row) -> String {
    let mut facts = Facts::default();
    let (entry, local) = (row.entry.as_ref(), row.local.as_ref());
    let known = |text: String| Some(text).filter(|text| !text.is_empty());
    facts.add("name", row.name.clone());
    if let Some(Upstream { model, fallback, .. }) = &row.upstream {
        facts.add("state", row.state().to_owned());
        facts.add("servers", row.servers());
        facts.add("model", model.clone());
        facts.add("fallback", fallback.clone());
        return facts.text();
    }
    facts.add("for", entry.map(|entry| entry.about.clone()));
    facts.add("size", known(row.size()));
    facts.add("licence", row.licence().unwrap_or("not known").to_owned());
    facts.add("text", entry.map(|entry| entry.licence_url.clone()));
    facts.add("sampling", entry.and_then(|entry| known(entry.sampling.text())));
    facts.add("draft", entry.and_then(|entry| entry.draft.clone()));
    facts.add("source", source(row));
    facts.add("state", state(row));
    facts.add("file", local.map(|local| local.path.display().to_string()));
    facts.add("bytes in", local.and_then(|local| local.link.as_ref()).map(|link| link.display().to_string()));
    facts.add("sha256", known(hash(row)));
    facts.text()
}

fn source(row: &Row) -> String {
    let url = |entry: &Entry| url_shown(&Hub::of_environment().file_url(&entry.repo, &entry.file));
    let of_entry = || row.entry.as_ref().map(url);
    row.record.as_ref().map(|record| record.url.clone()).or_else(of_entry).unwrap_or_else(|| "not known".into())
}

fn state(row: &Row) -> String {
    match (row.state(), row.partial) {
        ("", _) => format!("not on disk; try: beastctl models pull {}", row.name),
        ("partial", Some(n)) => so_far(row, n),
        ("lost", _) => lost(row),
        (state, _) => row.damage.clone().unwrap_or_else(|| state.into()),
    }
}

fn so_far(row: &Row, n_bytes: u64) -> String {
    let source = match &row.entry {
        Some(_) => Some(row.name.clone()),
        None => folder::partial_source(&row.path),
    };
    let next = source.map_or_else(|| format!("rm {}", quoted(&row.name)), |source| format!("pull {}", quoted(&source)));
    format!("{} downloaded so far; try: beastctl models {next}", bytes(n_bytes))
}

fn lost(row: &Row) -> String {
    let place = row.lost.as_deref().unwrap_or(&row.path).display();
    let verb = if row.entry.is_some() { "pull" } else { "rm" };
    format!("its file was {place}, which is gone; try: beastctl models {verb} {}", quoted(&row.name))
}

fn hash(row: &Row) -> String {
    match (&row.local, row.record.as_ref().and_then(|record| record.sha256.as_deref())) {
        (None, _) => String::new(),
        (Some(_), Some(hash)) => format!("{hash}, verified when downloaded"),
        (Some(_), None) => "not verified: no hash is known".into(),
    }
}

fn object(row: &Row) -> Value {
    let entry = row.entry.as_ref();
    json!({
        "name": row.name,
        "in_catalogue": entry.is_some(),
        "state": match row.state() { "" => "absent", "in use" => "in_use", state => state },
        "path": row.local.as_ref().map(|local| local.path.to_string_lossy()),
        "bytes": row.bytes(),
        "partial_bytes": row.partial,
        "licence": row.licence(),
        "licence_url": entry.map(|entry| &entry.licence_url),
        "repo": entry.map(|entry| &entry.repo),
        "draft": entry.and_then(|entry| entry.draft.as_ref()),
        "sampling": entry.map(|entry| &entry.sampling),
        "url": row.record.as_ref().map(|record| &record.url),
        "sha256": row.record.as_ref().and_then(|record| record.sha256.as_ref()),
        "servers": row.upstream.as_ref().map(|upstream| &upstream.urls),
    })
}
