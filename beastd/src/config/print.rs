//! The effective settings for `--print-config`: TOML for people, JSON for programs.

use std::fmt::Write;

use beast_launchd::shown;
use serde_json::json;

use super::keys::{self, KEYS};
use super::{Loaded, Source, http};

impl Loaded {
    /// The settings as TOML, each with its source.
    pub fn print(&self) -> String {
        let lines: Vec<_> = self
            .values
            .iter()
            .map(|(key, (value, source))| (format!("{key} = {}", http::shown(key, value)), source))
            .collect();
        let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0).min(48);
        lines.iter().fold(String::new(), |mut out, (line, source)| {
            writeln!(out, "{line:width$}  # {}", shown::logged(&source.to_string()))
                .expect("writing to a String cannot fail");
            out
        })
    }

    /// One object with an entry per setting: `value`, `layer` (default, profile, file, env or flag), `source`, the
    /// type in `takes`, whether it is `live`, and whether it is `of_speed`.
    pub fn json(&self) -> String {
        let entries = self.values.iter().filter_map(|(name, (value, source))| {
            let key = keys::find(name)?;
            let object = json!({
                "value": http::masked(name, value),
                "layer": layer(source),
                "source": source.to_string(),
                "takes": key.kind.words(),
                "live": key.live.is_some(),
                "of_speed": key.is_of_speed,
            });
            Some((name.clone(), object))
        });
        let object: serde_json::Map<_, _> = entries.collect();
        serde_json::to_string_pretty(&object).expect("broken invariant: texts and numbers are JSON") + "\n"
    }

    /// The settings that differ from `fresh` and need a restart.
    pub fn that_need_a_restart<'a>(&'a self, fresh: &'a Loaded) -> impl Iterator<Item = &'static str> + 'a {
        let fixed = KEYS.iter().filter(|key| key.live.is_none()).map(|key| key.name);
        fixed.filter(|name| {
            self.values.get(*name).map(|(value, _)| value) != fresh.values.get(*name).map(|(value, _)| value)
        })
    }
}

fn layer(source: &Source) -> &'static str {
    match source {
        Source::Default => "default",
        Source::Profile(_) => "profile",
        Source::File(_) => "file",
        Source::Env(_) => "env",
        Source::Flag(_) => "flag",
    }
}
