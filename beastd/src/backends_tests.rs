use super::*;

fn device(index: usize, n_free: u64) -> Device {
    let name = format!("CUDA{index}");
    Device { index, name, description: "a card".into(), n_total: 80 << 30, n_free }
}

#[test]
fn the_device_with_most_free_memory_is_taken_unless_another_is_named() {
    let devices = [device(0, 1 << 30), device(1, 3 << 30), device(2, 3 << 30)];
    let picked = |setting| pick(&devices, setting).map(|device| device.map(|device| device.index));
    assert_eq!(picked("auto"), Ok(Some(1)));
    assert_eq!(picked("cuda2"), Ok(Some(2)));
    assert_eq!(picked("0"), Ok(Some(0)));
    let missing = picked("3").expect_err("there are three");
    assert!(missing.contains("\"3\" not found; try: one of CUDA0, CUDA1, CUDA2, or auto"), "{missing}");
    assert_eq!(pick(&[], "CUDA0"), Ok(None));
}

#[test]
fn the_last_line_of_json_counts() {
    assert_eq!(verdict(b"driver 1.2\n{\"devices\":[]}\nbye\n"), Ok(0));
    let one = br#"{"devices":[{"name":"CUDA0","description":"H100","n_total":9,"n_free":8}]}"#;
    assert_eq!(verdict(one), Ok(1));
    assert_eq!(verdict(b"{\"error\":\"no driver\"}"), Err("no driver".into()));
    for garbage in [&b""[..], b"\xff\xfe", b"{\"devices\":", b"{}"] {
        assert!(verdict(garbage).is_err(), "{garbage:?}");
    }
}

#[test]
fn a_file_that_is_no_plug_in_is_known_without_loading_it() {
    for bytes in [&b""[..], b"a text\n", b"\x7fELF", &[0; 4096]] {
        assert!(build_of(bytes).is_err());
    }
    let own = std::fs::read(std::env::current_exe().expect("a test has a program")).expect("it can be read");
    assert!(build_of(&*own).expect_err("a program without the section").contains("not a beastd plug-in"));
}

#[test]
fn a_configured_folder_is_the_only_one() {
    assert_eq!(folders(Path::new("/opt/gpu")), [Path::new("/opt/gpu")]);
    assert_eq!(folders(Path::new("auto")).len(), 2);
}
