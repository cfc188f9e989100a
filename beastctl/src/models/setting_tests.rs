use super::*;

fn written(before: Option<&str>, model: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("beast/config.toml");
    if let Some(text) = before {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    write(&path, model).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
    assert_eq!(text.trim_start_matches(MARK).parse::<DocumentMut>().unwrap()["model"].as_str(), Some(model));
    text
}

#[test]
fn the_rest_of_the_file_stays_as_it_was() {
    assert_eq!(written(None, "/m.gguf"), "model = \"/m.gguf\"\n");
    let before = "# mine\nn_slots   = 2 # two\n\n  model = 'auto'   # the default\n# end\n";
    let after = "# mine\nn_slots   = 2 # two\n\n  model = \"/a b.gguf\"   # the default\n# end\n";
    assert_eq!(written(Some(before), "/a b.gguf"), after);
    assert_eq!(written(Some("n_slots = 2\n# end\n"), "builtin"), "n_slots = 2\nmodel = \"builtin\"\n# end\n");
    assert!(written(Some("model = 3\r\n"), "/quote\"d.gguf").contains("quote"));
    let foreign = "\u{feff}# mine\r\nmodel = 'auto'\r\nn_slots = 2\r\n";
    assert_eq!(written(Some(foreign), "/m.gguf"), foreign.replace("'auto'", "\"/m.gguf\""));
}

#[test]
fn a_file_that_nobody_may_write_is_left_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, "n_slots = 2\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let error = write(&path, "auto").unwrap_err();
    assert!(matches!(&error, ModelError::File(FileError { action: "write", .. })), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "n_slots = 2\n");
}

#[test]
fn a_link_to_a_file_that_is_not_there_yet_stays_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::os::unix::fs::symlink("dotfiles/beast.toml", &path).unwrap();
    write(&path, "builtin").unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(dir.path().join("dotfiles/beast.toml")).unwrap(), "model = \"builtin\"\n");
}

#[test]
fn a_damaged_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, "n_slots = 2\nmodel = \n").unwrap();
    let error = write(&path, "auto").unwrap_err();
    assert!(matches!(&error, ModelError::Config { message, .. } if message.starts_with("line 2")), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "n_slots = 2\nmodel = \n");
}

#[test]
fn a_link_and_the_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let (real, path) = (dir.path().join("real.toml"), dir.path().join("config.toml"));
    fs::write(&real, "").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&real, &path).unwrap();
    write(&path, "builtin").unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), "model = \"builtin\"\n");
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
}
