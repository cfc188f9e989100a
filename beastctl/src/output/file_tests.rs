use std::fs;

use super::*;

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_file_takes_the_place_of_the_old_one_at_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chart.svg");
    fs::write(&path, "old").unwrap();
    let file = WholeFile::create(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    file.finish("new").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(names(folder.path()), ["chart.svg"]);
}

#[test]
fn a_file_that_is_given_up_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    drop(WholeFile::create(&folder.path().join("chart.svg")).unwrap());
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_place_where_nothing_can_be_written_is_found_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("no/such/folder.svg"), folder.path().to_owned(), PathBuf::from("/")] {
        assert!(matches!(WholeFile::create(&path), Err(OutputError::File { .. })), "{path:?}");
    }
}
