use super::*;

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["", ".gguf", "../m.gguf", "a/m.gguf", "-m.gguf", "m.bin", "m\n.gguf"] {
        assert!(matches!(check_name(name), Err(ModelError::Usage { .. })), "{name:?}");
    }
    assert!(check_name("my model ü.gguf").is_ok());
    assert!(name_of("https://a.example/x%2F..%2Fm.gguf").is_err());
    assert_eq!(name_of("https://a.example/m.gguf?download=true").unwrap(), "m.gguf");
}

#[test]
fn models_are_found_by_each_of_their_names() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["LFM2-350M-Q4_K_M.gguf", "my model.gguf", ".hidden.gguf", "notes.txt", "half.gguf.part"] {
        fs::write(dir.path().join(name), "GGUF").unwrap();
    }
    fs::create_dir(dir.path().join("folder.gguf")).unwrap();
    let names: Vec<_> = list(dir.path()).unwrap().into_iter().map(|local| local.file).collect();
    assert_eq!(names, ["LFM2-350M-Q4_K_M.gguf", "my model.gguf"]);
    for name in ["lfm2-350m", "LFM2-350M-Q4_K_M", "my model", "my model.gguf"] {
        assert!(find(dir.path(), name).unwrap().is_some(), "{name}");
    }
    assert!(find(dir.path(), "half").unwrap().is_none());
    assert!(list(&dir.path().join("missing")).unwrap().is_empty());
}

#[test]
fn removing_takes_everything_of_a_model_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("m.gguf");
    for name in ["m.gguf", "m.gguf.json", "m.gguf.part", "m.gguf.part.json", "n.gguf"] {
        fs::write(dir.path().join(name), "GGUF").unwrap();
    }
    assert!(remove(&target).unwrap());
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["n.gguf"]);
    assert!(!remove(&target).unwrap());
    assert!(!remove(&dir.path().join("no/folder.gguf")).unwrap());
}

#[test]
fn a_link_takes_the_place_of_one_that_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (target, first, second) = (dir.path().join("m.gguf"), dir.path().join("a"), dir.path().join("b"));
    fs::write(&second, "GGUF").unwrap();
    link(&first, &target).unwrap();
    assert!(find(dir.path(), "m").unwrap().is_none());
    link(&second, &target).unwrap();
    assert_eq!(find(dir.path(), "m").unwrap().unwrap().link, Some(second.clone()));
    remove(&target).unwrap();
    assert!(second.exists(), "only the link goes");
}
