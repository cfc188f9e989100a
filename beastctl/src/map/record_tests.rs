use std::fs;

use super::*;

fn line(stamp: &str) -> String {
    format!("{{\"file\":\"a\",\"text\":\"It is.\",\"hash\":\"{stamp}\"}}\n")
}

fn open(path: &Path) -> (Record, HashSet<Stamp>) {
    Record::of_answers(path).unwrap()
}

fn stamp(text: &str) -> Stamp {
    Stamp(text.into())
}

#[test]
fn what_is_recorded_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let (mut record, stamps) = open(&path);
    assert!(stamps.is_empty());
    record.append(&line("1")).unwrap();
    record.append(&line("2")).unwrap();
    drop(record);
    let (mut record, stamps) = open(&path);
    assert_eq!(stamps, HashSet::from([stamp("1"), stamp("2")]));
    record.append(&line("3")).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), line("1") + &line("2") + &line("3"));
}

#[test]
fn a_line_torn_at_any_place_is_removed_and_the_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let torn = line("2");
    for n in 1..torn.len() {
        fs::write(&path, line("1") + &torn[..n]).unwrap();
        let (mut record, stamps) = open(&path);
        assert_eq!(stamps, HashSet::from([stamp("1")]), "{n}");
        record.append(&line("3")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), line("1") + &line("3"), "{n}");
    }
    fs::write(&path, [line("1").as_bytes(), &[0; 99]].concat()).unwrap();
    open(&path);
    assert_eq!(fs::read_to_string(&path).unwrap(), line("1"), "a power failure leaves zeros");
}

#[test]
fn a_file_of_another_kind_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let foreign = |text: String, n: usize| {
        fs::write(&path, &text).unwrap();
        for opened in [Record::of_answers(&path).map(|(record, _)| record), Record::of_failures(&path)] {
            let error = opened.unwrap_err();
            assert!(matches!(error.find(), Some(MapError::Foreign { line, .. }) if *line == n), "{error:?}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    };
    foreign("notes".into(), 1);
    foreign("{\"file\":\"a\"}\n".into(), 1);
    foreign("\n".into(), 1);
    // A file of answers is none of failures.
    fs::write(&path, line("1") + "notes").unwrap();
    assert!(matches!(Record::of_answers(&path).unwrap_err().find(), Some(MapError::Foreign { line: 2, .. })));
    fs::write(&path, line("1")).unwrap();
    assert!(matches!(Record::of_failures(&path).unwrap_err().find(), Some(MapError::Foreign { line: 1, .. })));
}

#[test]
fn failures_of_an_earlier_run_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("failed");
    let failure = "{\"file\":\"a\",\"error\":\"too long\",\"code\":\"too_long\",\"exit_code\":4}\n";
    for _ in 0..2 {
        Record::of_failures(&path).unwrap().append(failure).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), failure);
    }
}

#[test]
fn a_second_process_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let (record, _) = open(&path);
    assert!(record.is_at(&path) && !record.is_at(&folder.path().join("other")));
    let error = Record::of_answers(&path).unwrap_err();
    assert!(matches!(error.find(), Some(MapError::InUse(_))), "{error:?}");
    drop(record);
    open(&path);
}
