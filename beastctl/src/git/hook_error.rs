//! Why the hook cannot be installed, found or removed, with hints.

use std::path::PathBuf;

use super::{
    error::GitError,
    hooks::{CHAINED, KEPT},
    managers::Manager,
};
use crate::exit::{self, Failing, FileError, advice};

/// What somebody writes into a hook of their own.
const CALL: &str = "`beastctl hook run \"$@\" || :`";
/// Where a folder of hooks is set.
pub(super) const CONFIGURED: &str = "core.hooksPath";

#[derive(Debug, thiserror::Error)]
pub enum HookError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("{} is another program's hook", .0.display())]
    Foreign(PathBuf),
    /// Two hooks of others: one in the place of ours, one that ours ran.
    #[error("{} is another program's hook, and {CHAINED} exists as well", .0.display())]
    TwoForeign(PathBuf),
    /// The folder serves other repositories, too.
    #[error("git looks for hooks in {} (core.hooksPath), which is outside of this repository", .0.display())]
    Outside(PathBuf),
    /// The same by a link.
    #[error("{} is a link to {}, which is outside of this repository", .folder.display(), .real.display())]
    Linked { folder: PathBuf, real: PathBuf },
    /// A file or a device stands where a folder belongs; with `/dev/null` somebody has switched hooks off.
    #[error("git looks for hooks in {} ({by}), which is not a folder", .path.display())]
    NotFolder {
        path: PathBuf,
        /// Who says that git looks there.
        by: &'static str,
    },
    /// Nobody commits there.
    #[error("not in a work tree (a bare repository, or a .git folder)")]
    NoWorkTree,
    /// Its program writes it anew whenever it likes.
    #[error("{} is managed by {}", .path.display(), .manager.name)]
    Managed { path: PathBuf, manager: Manager },
    /// Another program has moved ours where nobody runs it.
    #[error("{} has moved beastctl's hook to {}, where it never runs", .manager.name, .path.display())]
    Dead { path: PathBuf, manager: Manager },
    #[error("{} already calls `beastctl hook run`", .0.display())]
    Called(PathBuf),
    /// Under another name it would look for another hook's work.
    #[error("{} depends on its own name ($0) and would do nothing under another one", .0.display())]
    Named(PathBuf),
    /// Ours, with somebody's own lines.
    #[error("{} has been changed since it was installed", .0.display())]
    Changed(PathBuf),
    /// Git passes over such a file, and so does our script.
    #[error("{} is not executable, so {who} does not run it", .path.display())]
    NotExecutable { path: PathBuf, who: &'static str },
    #[error("core.hooksPath is empty, so git runs no hooks in this repository")]
    NoFolder,
    /// `status` found none.
    #[error("the hook is not installed in {}", .0.display())]
    NotInstalled(PathBuf),
    #[error(transparent)]
    File(#[from] FileError),
}

impl Failing for HookError {
    fn exit_code(&self) -> u8 {
        match self {
            HookError::Git(error) => error.exit_code(),
            HookError::NotInstalled(_) | HookError::NotExecutable { .. } | HookError::File(_) => exit::FAILED,
            _ => exit::USAGE,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            HookError::Git(error) => return error.hint(),
            HookError::Foreign(_) => {
                format!("pass --chain to run it first, or add {CALL} at its end")
            }
            HookError::TwoForeign(_) => {
                format!("pass --chain --force to run the newer one first and drop {CHAINED}, or add {CALL} yourself")
            }
            HookError::Called(_) => "check beastctl hook status, or remove that line first".into(),
            HookError::Named(_) => format!("add {CALL} at the end of the script that it runs"),
            HookError::Changed(_) => format!("pass --force, which keeps a copy beside it ({KEPT})"),
            HookError::NotExecutable { path, .. } => format!("chmod +x '{}'", path.display()),
            HookError::NoFolder => "git config --unset core.hooksPath, or set it to a folder".into(),
            HookError::NotFolder { by: CONFIGURED, .. } => {
                "find where it is set with git config --show-origin core.hooksPath, then unset it there".into()
            }
            HookError::NotFolder { path, .. } => advice::in_the_way(path),
            HookError::NoWorkTree => "cd into a work tree: git worktree list shows them".into(),
            HookError::Managed { manager, .. } | HookError::Dead { manager, .. } => manager.recipe.into(),
            HookError::Outside(_) | HookError::Linked { .. } => {
                "pass --force to install it for all repositories that use that folder".into()
            }
            HookError::NotInstalled(_) => "beastctl hook install".into(),
            HookError::File(error) => return error.hint(),
        })
    }
}
