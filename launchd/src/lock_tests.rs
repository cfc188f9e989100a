use std::path::PathBuf;

use super::*;

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "").unwrap();
    (dir, path)
}

#[test]
fn one_has_it_at_a_time() {
    let (_dir, path) = place();
    let open = || File::open(&path);
    let first = at(&path, open).unwrap();
    assert!(matches!(at(&path, open), Err(NotLocked::Held)));
    assert!(is_held(&open().unwrap()).unwrap());
    let mut n_pauses = 0;
    let waited = wait(&open().unwrap(), || {
        n_pauses += 1;
        n_pauses < 3
    });
    assert!(matches!(waited, Err(NotLocked::Held)) && n_pauses == 3);
    let second = open().unwrap();
    let mut first = Some(first);
    wait(&second, || first.take().is_some()).unwrap();
    assert!(first.is_none());
    drop(second);
    assert!(!is_held(&open().unwrap()).unwrap());
}

/// Asking takes no lasting lock.
#[test]
fn who_asks_is_in_nobodys_way() {
    let (_dir, path) = place();
    let asker = File::open(&path).unwrap();
    assert!(!is_held(&asker).unwrap());
    take(&File::open(&path).unwrap()).unwrap();
}

#[test]
fn what_is_locked_is_what_has_the_name() {
    let (_dir, path) = place();
    let old = File::open(&path).unwrap();
    let mut opened = Some(old.try_clone().unwrap());
    fs::rename(&path, path.with_extension("old")).unwrap();
    fs::write(&path, "new").unwrap();
    assert!(!is_at(&old, &path));
    let file = at(&path, || opened.take().map_or_else(|| File::open(&path), Ok)).unwrap();
    assert!(is_at(&file, &path) && file.metadata().unwrap().len() == 3);
    fs::remove_file(&path).unwrap();
    assert!(!is_at(&file, &path));
    assert!(matches!(at(&path, || File::open(&path)), Err(NotLocked::Io(_))));
}
