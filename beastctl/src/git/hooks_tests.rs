use super::*;

#[test]
fn a_program_is_read_back_from_its_quotation() {
    for path in ["/usr/bin/beastctl", "/with space/it's/be$(x)\"ast`ctl", "/''/'", "/\u{fc}/\\'"] {
        assert_eq!(unquoted(&quoted(OsStr::new(path))), Path::new(path));
    }
    let bytes = OsStr::from_bytes(b"/\xff'/b");
    assert_eq!(unquoted(&quoted(bytes)).as_os_str(), bytes);
}

#[test]
fn what_does_not_exist_has_a_real_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    fs::create_dir(dir.join("there")).unwrap();
    std::os::unix::fs::symlink("there", dir.join("link")).unwrap();
    assert_eq!(real(&dir.join("link/not/yet")), dir.join("there/not/yet"));
}
