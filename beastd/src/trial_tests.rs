//! How trial results are remembered, and which of a trial's messages are reported. The trials themselves are tested
//! with the real program.

use super::*;

#[test]
fn the_last_line_of_ours_is_told_else_the_last_at_all() {
    assert_eq!(said(b"noise\nbeastd: why\nmore\n"), Some("why"));
    assert_eq!(said(b"one\nterminate called\n\n"), Some("terminate called"));
    assert_eq!(said(b"\n"), None);
    assert_eq!(death(ExitStatus::from_raw(6), Some("GGML_ASSERT")), "signal 6: GGML_ASSERT");
    assert_eq!(death(ExitStatus::from_raw(101 << 8), None), "exit status: 101");
}

#[test]
fn a_trial_counts_for_this_file_of_this_time_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("model");
    fs::write(&model, "x").expect("writable");
    let record = |metadata: &fs::Metadata| Record {
        path: Some(folder.path().join("tried/one")),
        ..Record::new(&[1; 32], metadata)
    };
    let metadata = fs::metadata(&model).expect("it is there");
    assert!(!record(&metadata).is_kept());
    record(&metadata).keep();
    assert!(record(&metadata).is_kept());
    let later = metadata.modified().expect("a time") + Duration::from_secs(1);
    fs::File::options().append(true).open(&model).expect("ours").set_modified(later).expect("ours");
    let copy = fs::metadata(&model).expect("it is there");
    assert!(!record(&copy).is_kept());
    record(&copy).keep();
    assert!(record(&copy).is_kept() && record(&metadata).is_kept(), "copies of one model do not displace each other");
}
