use std::fs;

use super::*;

#[test]
fn a_setting_stands_for_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = |setting| file_in(setting, || Ok(dir.path().into())).unwrap();
    assert_eq!((file(BUILTIN), file(AUTO)), (None, None));
    let default = dir.path().join(DEFAULT);
    fs::write(&default, "GGUF").unwrap();
    assert_eq!((file(BUILTIN), file(AUTO)), (None, Some(default)));
    assert_eq!(file("/m.gguf"), Some("/m.gguf".into()));
    assert_eq!(file("m.gguf"), Some(env::current_dir().unwrap().join("m.gguf")));
    assert_eq!(file("~/m.gguf"), Some(env::home_dir().unwrap().join("m.gguf")));
}

#[test]
fn a_file_that_is_named_needs_no_models_folder() {
    let nowhere = || Err(PathError::HomeNotSet { or: "" });
    assert_eq!(file_in("/m.gguf", nowhere), Ok(Some("/m.gguf".into())));
    assert!(file_in(AUTO, nowhere).is_err());
}

#[test]
fn only_the_default_model_has_a_draft_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let (default, draft) = (dir.path().join(DEFAULT), dir.path().join(DEFAULT_DRAFT));
    assert_eq!(draft_of(&default), None);
    fs::write(&draft, "GGUF").unwrap();
    assert_eq!(draft_of(&default), Some(draft));
    assert_eq!(draft_of(&dir.path().join("other.gguf")), None);
}
