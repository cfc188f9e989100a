use std::fs;

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// A package's unit, and the user's own folder with the link that enables it.
fn enabled() -> (TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (package, own) = (dir.path().join("lib/systemd/user"), dir.path().join("config/systemd/user"));
    fs::create_dir_all(&package).unwrap();
    fs::create_dir_all(own.join("sockets.target.wants")).unwrap();
    fs::write(package.join("beastd.socket"), "[Socket]\nListenStream=%t/beast/beastd.sock\n").unwrap();
    symlink(package.join("beastd.socket"), own.join("sockets.target.wants/beastd.socket")).unwrap();
    (dir, package.join("beastd.socket"), own)
}

#[test]
fn a_package_is_found_by_the_link_that_enables_it() {
    let (_dir, unit, own) = enabled();
    assert_eq!(packaged_in(&own), Some(unit.clone()));
    // A relative link, as a user may write one; systemd accepts it.
    let link = own.join("sockets.target.wants/beastd.socket");
    fs::remove_file(&link).unwrap();
    symlink("../../../../lib/systemd/user/beastd.socket", &link).unwrap();
    assert_eq!(packaged_in(&own).and_then(|found| found.canonicalize().ok()), unit.canonicalize().ok());
    // The user's own unit overrides it.
    fs::write(own.join("beastd.socket"), "").unwrap();
    assert_eq!(packaged_in(&own), None);
}

#[test]
fn what_is_not_enabled_or_not_there_is_no_service() {
    let (_dir, unit, own) = enabled();
    fs::remove_file(unit).unwrap();
    assert_eq!(packaged_in(&own), None);
    fs::remove_file(own.join("sockets.target.wants/beastd.socket")).unwrap();
    assert_eq!(packaged_in(&own), None);
}
