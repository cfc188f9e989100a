use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn it_is_there_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let mut file = WholeFile::create(&path, PRIVATE).unwrap();
    file.write_all(b"half").unwrap();
    assert!(!path.exists() && names(dir.path()).len() == 1, "{:?}", names(dir.path()));
    drop(file);
    assert_eq!(names(dir.path()), [""; 0]);
    write(&path, b"all", PRIVATE).unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"all".to_vec(), 0o600));
    assert_eq!(names(dir.path()), ["file"]);
}

#[test]
fn nothing_is_left_where_it_cannot_be_put() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let mut file = WholeFile::create(&path, PUBLIC).unwrap();
    file.write_all(b"text").unwrap();
    fs::create_dir(&path).unwrap();
    assert!(file.finish().is_err());
    assert_eq!(names(dir.path()), ["file"]);
    assert_eq!(WholeFile::create(Path::new("/"), PUBLIC).unwrap_err().kind(), ErrorKind::IsADirectory);
}

#[test]
fn what_is_replaced_keeps_its_permissions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o641)).unwrap();
    let mut file = WholeFile::like(&path).unwrap();
    file.write_all(b"new").unwrap();
    file.finish_synced().unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"new".to_vec(), 0o641));
    WholeFile::like(&dir.path().join("other")).unwrap().finish().unwrap();
    assert_eq!(names(dir.path()), ["file", "other"]);
}

#[test]
fn an_error_is_the_systems_own() {
    let error = WholeFile::create(Path::new("/no/such/folder/file"), PRIVATE).unwrap_err();
    assert_eq!(error.to_string(), "No such file or directory (os error 2)");
}

#[test]
fn a_name_without_a_folder_is_one_from_here() {
    let file = WholeFile::create(Path::new("whole_tests"), PRIVATE).unwrap();
    assert!(file.part.path().canonicalize().unwrap().starts_with(std::env::current_dir().unwrap()));
}
