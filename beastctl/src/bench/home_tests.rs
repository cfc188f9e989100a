use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_home_is_ours_alone_and_gone_afterwards() {
    let home = Home::below(&env::temp_dir()).unwrap();
    let path = home.path().to_owned();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(check_socket_path(&home.socket(7)).is_ok());
    fs::create_dir(path.join("folder")).unwrap();
    drop(home);
    assert!(!path.exists());
}

/// A name that another run of the same process uses, or a killed one left behind, is not an error.
#[test]
fn a_name_that_is_taken_is_left_alone() {
    let homes = [Home::below(&env::temp_dir()).unwrap(), Home::below(&env::temp_dir()).unwrap()];
    assert_ne!(homes[0].path(), homes[1].path());
}

#[test]
fn a_folder_in_which_no_socket_fits_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Home::below(&folder.path().join("x".repeat(120))).is_err());
    assert!(Home::below(&folder.path().join("missing")).is_err());
}

#[test]
fn a_program_in_it_sees_nothing_of_the_users() {
    let home = Home::below(&env::temp_dir()).unwrap();
    let mut command = Command::new("true");
    home.isolate(&mut command);
    for (name, value) in command.get_envs().filter(|(name, _)| name.to_string_lossy().starts_with("XDG_")) {
        assert!(Path::new(value.unwrap()).starts_with(home.path()), "{name:?}");
    }
    assert_eq!(command.get_envs().filter(|(name, _)| name.to_string_lossy().starts_with("XDG_")).count(), PLACES.len());
}

#[test]
fn it_knows_what_lies_in_it() {
    let home = Home::below(&env::temp_dir()).unwrap();
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("model.gguf"), "").unwrap();
    symlink(other.path(), home.path().join("models")).unwrap();
    fs::write(home.path().join("cub.gguf"), "").unwrap();
    assert!(home.holds(&home.path().join("cub.gguf")));
    assert!(!home.holds(&home.path().join("models/model.gguf")), "a link leads out of it");
    assert!(!home.holds(Path::new("/nowhere")));
}

#[test]
fn what_calibration_found_comes_along() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["cub.gguf", "cub.gguf.calibration.json"] {
        fs::write(from.path().join(name), name).unwrap();
    }
    copy(from.path(), &to.path().join("new"), |name| name.ends_with(BESIDE));
    copy(&from.path().join("missing"), to.path(), |_| true);
    let names: Vec<_> = fs::read_dir(to.path().join("new")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["cub.gguf.calibration.json"]);
}
