use super::*;

#[test]
fn half_a_character_waits_for_its_other_half() {
    assert_eq!(shown(b"caf\xc3", true), "caf");
    assert_eq!(shown(b"caf\xc3", false), "caf\u{fffd}");
    assert_eq!(shown(b"\xff a\xc3", true), "\u{fffd} a\u{fffd}");
    assert_eq!(shown("é \n".as_bytes(), true), "é");
}

#[test]
fn a_name_leads_nowhere_else() {
    let jobs = Jobs::new("/nowhere".into());
    for name in ["", "..", "../x", "a/b", "x", "a b", "\u{e9}"] {
        assert!(jobs.path(name).is_err(), "{name:?}");
    }
    assert_eq!(jobs.path("1f-2").unwrap(), Path::new("/nowhere/job-1f-2"));
}

#[test]
fn a_job_that_is_being_made_is_left_alone_and_one_left_half_made_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(dir.path().into());
    let job = jobs.path("1f-2").unwrap();
    fs::create_dir(&job).unwrap();
    jobs.sweep();
    assert!(job.exists());
    File::open(&job).unwrap().set_modified(SystemTime::now() - 2 * UNSEEN).unwrap();
    jobs.sweep();
    assert!(!job.exists());
}
