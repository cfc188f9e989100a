use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use super::*;

#[test]
fn names_end_with_a_line_or_a_nul_byte_and_keep_all_their_bytes() {
    let names = |bytes: &[u8], end| -> Vec<Vec<u8>> {
        split(bytes, end).into_iter().map(|name| name.into_os_string().into_vec()).collect()
    };
    assert_eq!(names(b"a b\n\n \xff\nc", b'\n'), [&b"a b"[..], b" \xff", b"c"]);
    assert_eq!(names(b"a\nb\0\0c\0", 0), [&b"a\nb"[..], b"c"]);
    assert!(names(b"\n", b'\n').is_empty());
}

fn options(files: &[&[u8]], list: Option<&Path>, null: bool) -> MapOptions {
    use clap::Parser;
    let cli = crate::cli::Cli::parse_from(["beastctl", "map", "ask", "x"]);
    let crate::cli::Verb::Map(options) = cli.verb else { panic!("it is map") };
    let files = files.iter().map(|name| OsStr::from_bytes(name).into()).collect();
    MapOptions { files, files_from: list.map(Path::to_owned), null, ..options }
}

#[test]
fn a_name_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list");
    std::fs::write(&list, "b\na\nc\n").unwrap();
    let found = files(&options(&[b"a", b"b", b"a"], Some(&list), false), &Wait::default()).unwrap();
    assert_eq!(found, [Path::new("a"), Path::new("b"), Path::new("c")]);
}

#[test]
fn lists_that_are_a_mistake_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list");
    let refused = |files: &[&[u8]], bytes: &[u8], null| {
        std::fs::write(&list, bytes).unwrap();
        let error = super::files(&options(files, Some(&list), null), &Wait::default()).unwrap_err();
        format!("{:?}", error.find::<MapError>().unwrap()).split('(').next().unwrap().to_owned()
    };
    assert_eq!(refused(&[], b"\n\n", false), "EmptyList");
    assert_eq!(refused(&[], b"a\0b\0", false), "HasNul");
    assert_eq!(refused(&[b"-"], b"a\n", false), "Stdin");
    assert_eq!(refused(&[], b"a\0-\0", true), "Stdin");
}
