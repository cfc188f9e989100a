use super::*;

#[test]
fn what_does_not_exist_has_a_real_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    fs::create_dir(dir.join("there")).unwrap();
    std::os::unix::fs::symlink("there", dir.join("link")).unwrap();
    assert_eq!(real(&dir.join("link/not/yet")), dir.join("there/not/yet"));
}
