//! The installed hook: a script of a few lines, recognizable by its mark.

use std::{
    ffi::{OsStr, OsString},
    fs::Permissions,
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::PermissionsExt,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use beast_launchd::whole::WholeFile;

/// The line that identifies our hook.
pub(super) const MARK: &str = "# Written by `beastctl hook install`; `beastctl hook uninstall` takes it away.";
pub(super) const PROGRAM: &str = "beastctl=";
/// Precedes a checksum, which shows whether the script was changed, even if another version of beastctl wrote it.
pub(super) const SUM: &str = "# Unchanged as long as its checksum is ";
pub(super) const LIMIT: &str = "--limit ";

/// A commit must never fail because of us: the script always exits with 0, unless the chained hook fails.
const HOOK: &str = include_str!("hook.sh");

/// The script. Without a `program` it contains nothing specific to this machine, because it will be committed and
/// shared. It is then silent for people without beastctl.
pub(super) fn script(program: Option<&Path>, limit: Duration) -> Vec<u8> {
    let limit = humantime::format_duration(limit).to_string().replace(' ', "");
    let (head, rest) = HOOK.split_once("@PROGRAM@").expect("broken invariant: the hook runs a program");
    let is_wanted = |line: &&str| program.is_some() || !line.ends_with(">&2\n");
    let rest = rest.split_inclusive('\n').filter(is_wanted).collect::<String>().replace("@LIMIT@", &limit);
    let program = quoted(program.unwrap_or(Path::new("")).as_os_str());
    let with = |sum: &str| [head.replace("@SUM@", sum).as_bytes(), &program, rest.as_bytes()].concat();
    with(&checksum(&with("")))
}

/// Quotes a path for the shell.
fn quoted(path: &OsStr) -> Vec<u8> {
    shlex::bytes::try_quote(path.as_bytes()).expect("broken invariant: a path contains no NUL").into_owned()
}

pub(super) fn unquoted(text: &[u8]) -> PathBuf {
    let words = shlex::bytes::split(text).unwrap_or_default();
    OsString::from_vec(words.into_iter().next().unwrap_or_default()).into()
}

pub(super) fn begin_program(path: &Path, bytes: &[u8]) -> io::Result<WholeFile> {
    let file = WholeFile::create(path, 0o755)?;
    file.permit(Permissions::from_mode(0o755))?;
    file.with(bytes)
}

/// FNV-1a of all lines except the one that holds the checksum. It must be the same in every version; it need not
/// resist forgery.
pub(super) fn checksum(script: &[u8]) -> String {
    let lines = script.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(SUM.as_bytes()));
    let sum = lines
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{sum:016x}")
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
