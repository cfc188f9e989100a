use super::*;

#[test]
fn only_files_of_the_kind_are_offered() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["b.gguf", "a b.gguf", ".hidden.gguf", "c.gguf.part", "gguf", "d.txt"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let names: Vec<_> =
        files_of(dir.path(), "gguf").into_iter().map(|file| file.file_stem().unwrap().to_owned()).collect();
    assert_eq!(names, ["a b", "b"]);
    assert_eq!(files_of(&dir.path().join("none"), "gguf"), Vec::<PathBuf>::new());
}
