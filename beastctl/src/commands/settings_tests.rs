use super::*;

#[test]
fn what_beastd_prints_is_understood() {
    let settings =
        Settings::parse("log_dir = \"/my logs\"  # --set\nmodel = \"auto\"         # default\nn_ctx = 4096  # x\n");
    assert_eq!(settings.get("model"), Some("auto"));
    assert_eq!(settings.get("n_ctx"), Some("4096"));
    assert_eq!(settings.log_dir(), Some(Some("/my logs".into())));
    assert_eq!(Settings::parse("log_dir = \"none\"  # --set\n").log_dir(), Some(None));
    assert!(Settings::parse("http.listen = \"\"  # default\nhttp.ollama = false  # default").http().is_empty());
    let settings = Settings::parse(
        "http.listen = \"localhost:8484, [::1]:8484,127.0.0.1:0\"  # file\nhttp.ollama = true  # file\n\
         http.ollama_listen = \"127.0.0.1:11434\"  # default\nhttp.socket = \"/a b/http.sock\"  # file",
    );
    assert_eq!(settings.http().names(), ["127.0.0.1:8484", "[::1]:8484", "/a b/http.sock", "127.0.0.1:11434"]);
    assert_eq!(Settings::parse("nonsense\n").log_dir(), None);
}
