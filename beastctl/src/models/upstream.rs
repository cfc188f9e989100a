//! The models of other servers, as `[upstream.NAME]` in `config.toml` names them. Only beastd knows what is valid
//! there; what cannot be read here is left out.

use std::path::Path;

use toml_edit::{Item, Table};

use super::setting;

/// A model that another server computes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    pub name: String,
    /// Addresses of its servers.
    pub urls: Vec<String>,
    /// The server's name for it, if it is set.
    pub model: Option<String>,
    /// The local model that answers when no server does.
    pub fallback: Option<String>,
}

/// The upstream models of the user's configuration.
pub fn all() -> Vec<Upstream> {
    setting::path().map_or_else(|_| Vec::new(), |path| in_file(&path))
}

/// The upstream model of this name.
pub fn find(name: &str) -> Option<Upstream> {
    all().into_iter().find(|upstream| upstream.name.eq_ignore_ascii_case(name))
}

fn in_file(path: &Path) -> Vec<Upstream> {
    let document = setting::document(path).unwrap_or_default();
    let tables = document.get("upstream").and_then(Item::as_table_like);
    let tables = tables.into_iter().flat_map(|tables| tables.iter());
    tables.filter_map(|(name, item)| Some(of(name, item.clone().into_table().ok()?))).collect()
}

fn of(name: &str, table: Table) -> Upstream {
    let text = |key: &str| table.get(key).and_then(Item::as_str).map(str::to_owned);
    let urls = table.get("urls").and_then(Item::as_array).into_iter().flatten();
    let urls = urls.filter_map(|url| url.as_str().map(str::to_owned));
    let urls = text("url").into_iter().chain(urls).collect();
    Upstream { name: name.to_owned(), urls, model: text("model"), fallback: text("fallback") }
}

#[cfg(test)]
#[path = "upstream_tests.rs"]
mod tests;
