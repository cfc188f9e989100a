use super::*;

#[test]
fn what_beastd_prints_is_understood() {
    let settings =
        Settings::parse("log_dir = \"/my logs\"  # --set\nmodel = \"auto\"         # default\nn_ctx = 4096  # x\n");
    assert_eq!(settings.get("model"), Some("auto"));
    assert_eq!(settings.get("n_ctx"), Some("4096"));
    assert_eq!(settings.log_dir(), Some(Some("/my logs".into())));
    assert_eq!(Settings::parse("log_dir = \"none\"  # --set\n").log_dir(), Some(None));
    assert_eq!(Settings::parse("nonsense\n").log_dir(), None);
}
