//! Why the hook cannot be installed, found or removed, with hints.

use std::path::PathBuf;

use super::{
    error::GitError,
    hooks::{CHAINED, KEPT},
    managers::Manager,
};
use crate::exit::{self, Failing, FileError, advice};

/// The line to add to a hook of one's own.
const CALL: &str = "`beastctl hook run \"$@\" || :`";
/// The setting that names the folder of hooks.
pub(super) const CONFIGURED: &str = "core.hooksPath";

#[derive(Debug, thiserror::Error)]
pub enum HookError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("{} is another program's hook", .0.display())]
    Foreign(PathBuf),
    /// Two hooks of other programs: one in place of ours, and the one that ours ran.
    #[error("{} is another program's hook, and {CHAINED} exists as well", .0.display())]
    TwoForeign(PathBuf),
    /// The folder also serves other repositories.
    #[error("git looks for hooks in {} (core.hooksPath), which is outside of this repository", .0.display())]
    Outside(PathBuf),
    /// The same through a link.
    #[error("{} is a link to {}, which is outside of this repository", .folder.display(), .real.display())]
    Linked { folder: PathBuf, real: PathBuf },
    /// A file or device is in place of the folder; `/dev/null` is used to disable hooks.
    #[error("git looks for hooks in {} ({by}), which is not a folder", .path.display())]
    NotFolder {
        path: PathBuf,
        /// Where the path comes from.
        by: &'static str,
    },
    /// There are no commits here.
    #[error("not in a work tree (a bare repository, or a .git folder)")]
    NoWorkTree,
    /// A hook manager rewrites this file whenever it likes.
    #[error("{} is managed by {}", .path.display(), .manager.name)]
    Managed { path: PathBuf, manager: Manager },
    /// A hook manager has moved our hook to a name that it never runs.
    #[error("{} has moved beastctl's hook to {}, where it never runs", .manager.name, .path.display())]
    Dead { path: PathBuf, manager: Manager },
    #[error("{} already calls `beastctl hook run`", .0.display())]
    Called(PathBuf),
    /// Under another name it would do another hook's work.
    #[error("{} depends on its own name ($0) and would do nothing under another one", .0.display())]
    Named(PathBuf),
    /// Our hook, with added or changed lines.
    #[error("{} has been changed since it was installed", .0.display())]
    Changed(PathBuf),
    /// Git skips such a file, and so does our script.
    #[error("{} is not executable, so {who} does not run it", .path.display())]
    NotExecutable { path: PathBuf, who: &'static str },
    #[error("core.hooksPath is empty, so git runs no hooks in this repository")]
    NoFolder,
    /// The error of `status` without a hook.
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
