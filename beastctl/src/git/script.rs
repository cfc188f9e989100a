//! The installed hook: a script of a few lines, recognizable by its mark.

use std::{
    ffi::OsStr,
    fs::Permissions,
    io::{self, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::PermissionsExt,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use beast_launchd::whole::WholeFile;

use super::hooks::CHAINED;

/// By this line ours is known again.
pub(super) const MARK: &str = "# Written by `beastctl hook install`; `beastctl hook uninstall` takes it away.";
pub(super) const PROGRAM: &str = "beastctl=";
/// Before a number by which it is known whether anybody has changed the script, also one of another version of
/// beastctl.
pub(super) const SUM: &str = "# Unchanged as long as its checksum is ";
pub(super) const LIMIT: &str = "--limit ";

/// Where programs are installed that the PATH of a graphical program does not name.
pub(super) const MORE_PATH: &str = "$PATH:/usr/local/bin:/opt/homebrew/bin:$HOME/.local/bin";

/// A commit must never fail because of us: each way out ends well, but for the failure of the hook that came first.
/// Without a `program` nothing of it belongs to this machine: others commit and share it, perhaps without beastctl, and
/// then it is silent.
pub(super) fn script(program: Option<&Path>, limit: Duration) -> Vec<u8> {
    let mut script = format!(
        "#!/bin/sh\n{MARK}\n\
        chained=\"${{0%/*}}/{CHAINED}\"\n\
        if [ -f \"$chained\" ] && [ -x \"$chained\" ]; then\n    \"$chained\" \"$@\" || exit $?\nfi\n{PROGRAM}"
    )
    .into_bytes();
    script.extend(quoted(program.unwrap_or(Path::new("")).as_os_str()));
    let limit = humantime::format_duration(limit).to_string().replace(' ', "");
    // Said only where a message would have been written.
    let gone = match program {
        Some(_) => {
            "[ -n \"$2\" ] || \
             echo \"beast: no message: beastctl not found; try: reinstall it, or rm $0\" >&2\n        "
        }
        None => "",
    };
    script.extend(
        format!(
            "\nif ! [ -f \"$beastctl\" ] || ! [ -x \"$beastctl\" ]; then\n    \
            beastctl=$(PATH=\"{MORE_PATH}\"; command -v beastctl) || {{\n        {gone}exit 0\n    }}\nfi\n\
            \"$beastctl\" hook run {LIMIT}{limit} -- \"$@\"\nexit 0\n"
        )
        .into_bytes(),
    );
    let place = "#!/bin/sh\n".len() + MARK.len() + 1;
    let sum = format!("{SUM}{}\n", checksum(&script));
    script.splice(place..place, sum.into_bytes());
    script
}

/// For the shell; the only character that ends such a quotation is its own.
fn quoted(text: &OsStr) -> Vec<u8> {
    let mut bytes = vec![b'\''];
    for byte in text.as_bytes() {
        match byte {
            b'\'' => bytes.extend(b"'\\''"),
            byte => bytes.push(*byte),
        }
    }
    bytes.push(b'\'');
    bytes
}

pub(super) fn unquoted(text: &[u8]) -> PathBuf {
    let text = text.strip_prefix(b"'").and_then(|text| text.strip_suffix(b"'")).unwrap_or(text);
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((first, more)) = rest.split_first() {
        (rest, _) = match rest.strip_prefix(b"'\\''") {
            Some(more) => (more, bytes.push(b'\'')),
            None => (more, bytes.push(*first)),
        };
    }
    std::ffi::OsString::from_vec(bytes).into()
}

pub(super) fn begin_program(path: &Path, bytes: &[u8]) -> io::Result<WholeFile> {
    let mut file = WholeFile::create(path, 0o755)?;
    file.permit(Permissions::from_mode(0o755))?;
    file.write_all(bytes)?;
    Ok(file)
}

/// FNV-1a of all lines but the one that holds it: the same in every version, and nobody has to be kept from forging it.
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
