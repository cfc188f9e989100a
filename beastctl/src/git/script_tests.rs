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
fn any_other_line_changes_the_checksum() {
    let script = script(Some(Path::new("/bin/beastctl")), Duration::from_secs(10));
    let text = String::from_utf8(script.clone()).unwrap();
    let sum = text.lines().find_map(|line| line.strip_prefix(SUM)).unwrap();
    assert_eq!(sum, checksum(&script));
    assert_ne!(sum, checksum(text.replace("10s", "20s").as_bytes()));
    assert_ne!(sum, checksum(format!("{text}make\n").as_bytes()));
}

#[test]
fn the_hook_has_what_it_is_known_by() {
    for part in [MARK, SUM, PROGRAM, LIMIT, super::super::hooks::CHAINED] {
        assert!(HOOK.contains(part), "{part}");
    }
}
