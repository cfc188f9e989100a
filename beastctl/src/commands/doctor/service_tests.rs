use super::*;

#[test]
fn the_program_of_a_unit_is_its_first_word() {
    let of = |line: &str| of_unit(&format!("[Service]\nType=simple\nExecStart={line}\n"));
    assert_eq!(of("/usr/bin/beastd"), Some("/usr/bin/beastd".into()));
    assert_eq!(of("-/usr/bin/beastd --socket /s"), Some("/usr/bin/beastd".into()));
    assert_eq!(of("\"/my programs/100%% beastd\" --x"), Some("/my programs/100% beastd".into()));
    assert_eq!(of("/a\\ b/beastd"), Some("/a b/beastd".into()));
    assert_eq!(of(""), None);
    assert_eq!(of_unit("[Service]\n"), None);
}

/// The list is made by the crate that installs it.
#[test]
fn the_program_of_a_property_list_is_found() {
    let service = beast_launchd::Service {
        program: "/Users/a & b/<beastd>".into(),
        arguments: vec!["--set".into()],
        socket: "/tmp/s".into(),
        log: "/tmp/l".into(),
    };
    let text = beast_launchd::plist(&service).unwrap();
    assert_eq!(of_plist(&text), Some("/Users/a & b/<beastd>".into()));
    assert_eq!(of_plist("<dict/>"), None);
}

#[test]
fn the_socket_of_a_unit_is_found() {
    assert_eq!(listens_at("[Socket]\nListenStream=/a b/100%%.sock\n"), Some("/a b/100%.sock".into()));
    assert_eq!(listens_at("[Socket]\n"), None);
    if let Some(folder) = env::var_os("XDG_RUNTIME_DIR") {
        let expected = PathBuf::from(folder).join("beast/beastd.sock");
        assert_eq!(listens_at("[Socket]\nListenStream=%t/beast/beastd.sock\n"), Some(expected));
    }
}
