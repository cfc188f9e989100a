//! Resolves the setting `model` to a file. Here once for both programs: the daemon loads the file, the client lists
//! and checks it.
//!
//! May know: the models folder. Never knows: what a model is for, where the setting comes from.

use std::env;
use std::path::{Path, PathBuf};

use crate::paths::{self, PathError};

/// The setting for the default model if its file exists, else the built-in one.
pub const AUTO: &str = "auto";
/// The setting for the built-in model.
pub const BUILTIN: &str = "builtin";
/// File name of the default model in the models folder.
pub const DEFAULT: &str = "LFM2-2.6B-Q4_K_M.gguf";
/// File name of the default model's draft model, in the same folder.
pub const DEFAULT_DRAFT: &str = "LFM2-350M-Q4_K_M.gguf";
/// The default model's name in the catalogue.
pub const DEFAULT_NAME: &str = "lfm2-2.6b";

/// The file for a setting; `None` for the built-in model. A file that the setting names need not exist. Relative
/// paths start at the working directory.
///
/// # Errors
/// [`PathError`] when the models folder is needed and not known.
pub fn file_of(setting: &str) -> Result<Option<PathBuf>, PathError> {
    file_in(setting, paths::models_dir)
}

fn file_in(setting: &str, models: impl FnOnce() -> Result<PathBuf, PathError>) -> Result<Option<PathBuf>, PathError> {
    Ok(match setting {
        BUILTIN => None,
        AUTO => Some(models()?.join(DEFAULT)).filter(|file| file.is_file()),
        path => {
            let home = path.strip_prefix("~/").and_then(|rest| Some(env::home_dir()?.join(rest)));
            let path = home.unwrap_or_else(|| path.into());
            Some(std::path::absolute(&path).unwrap_or(path))
        }
    })
}

/// The draft model beside this file, if the file is the default model.
pub fn draft_of(file: &Path) -> Option<PathBuf> {
    let is_default = file.file_name().is_some_and(|name| name == DEFAULT);
    Some(file.with_file_name(DEFAULT_DRAFT)).filter(|draft| is_default && draft.is_file())
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
