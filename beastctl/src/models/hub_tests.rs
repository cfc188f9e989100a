use super::*;
use crate::exit::Failing;

fn choose_of(files: &[&str], what: What) -> Result<String, ModelError> {
    choose("org/repo", &files.iter().map(|file| (*file).to_owned()).collect::<Vec<_>>(), &what)
}

fn quant(text: &str) -> What {
    What::Quant(text.into())
}

#[test]
fn the_one_of_a_quantization_is_found() {
    let files = ["README.md", "m-Q4_K_M.gguf", "m-IQ4_K_M.gguf", "m-Q8_0.gguf", "mmproj-Q8_0.gguf"];
    assert_eq!(choose_of(&files, quant("q4_k_m")).unwrap(), "m-Q4_K_M.gguf");
    assert_eq!(choose_of(&files, quant("Q8_0")).unwrap(), "m-Q8_0.gguf");
    assert_eq!(choose_of(&files, What::File("m-Q8_0.gguf".into())).unwrap(), "m-Q8_0.gguf");
    assert_eq!(choose_of(&["sub/Q4_0.gguf"], quant("Q4_0")).unwrap(), "sub/Q4_0.gguf");
}

#[test]
fn none_or_several_say_what_there_is() {
    let files = ["m-Q4_0.gguf", "m-QAD-Q4_0.gguf", "m-F16.gguf"];
    let error = choose_of(&files, quant("Q4_0")).unwrap_err();
    assert_eq!(error.to_string(), "org/repo has more than one GGUF file for Q4_0");
    assert_eq!(error.hint().unwrap(), "org/repo/m-Q4_0.gguf, org/repo/m-QAD-Q4_0.gguf");
    let error = choose_of(&files, quant("Q6_K")).unwrap_err();
    assert_eq!(error.to_string(), "org/repo has no GGUF file for Q6_K");
    assert!(error.hint().unwrap().contains("org/repo/m-F16.gguf"));
    assert!(matches!(choose_of(&["model.safetensors"], What::Any), Err(ModelError::Choice { n_found: 0, .. })));
    assert_eq!(choose_of(&["only.gguf"], What::Any).unwrap(), "only.gguf");
}

#[test]
fn parts_of_a_model_are_refused() {
    let files = ["m-Q4_0-00001-of-00002.gguf", "m-Q4_0-00002-of-00002.gguf"];
    assert!(matches!(choose_of(&files, quant("Q4_0")), Err(ModelError::Split(_))));
    assert!(matches!(choose_of(&files, What::File(files[1].into())), Err(ModelError::Split(_))));
}

#[test]
fn the_licence_is_the_most_telling_one() {
    let listing = |json: &str| listing_of(json.as_bytes());
    let other = r#"{"siblings":[{"rfilename":"a.gguf"}],"cardData":{"license":"other","license_name":"lfm1.0"}}"#;
    assert_eq!(listing(other).unwrap(), Listing { files: vec!["a.gguf".into()], licence: Some("lfm1.0".into()) });
    let tagged = listing(r#"{"siblings":[],"tags":["gguf","license:mit"]}"#).unwrap();
    assert_eq!(tagged.licence.as_deref(), Some("mit"));
    assert_eq!(listing(r#"{"siblings":[],"cardData":{"license":["mit"]}}"#).unwrap().licence, None);
    assert!(listing("<html>").is_none());
}

#[test]
fn the_token_is_in_no_log() {
    let hub = Hub { endpoint: "https://hub.example".into(), token: Some("hf_secret".into()) };
    assert!(!format!("{hub:?}").contains("hf_secret"));
    assert!(hub.owns("https://hub.example/a") && !hub.owns("https://cdn.example/a") && !hub.owns("nonsense"));
    assert_eq!(hub.file_url("o/r", "a b.gguf"), "https://hub.example/o/r/resolve/main/a%20b.gguf");
}

#[test]
fn only_the_hub_and_this_endpoint_say_what_a_file_is() {
    let hub = Hub { endpoint: "https://me:word@mirror.example".into(), token: None };
    let name = |url: &str| hub.name_in("o/r", url);
    assert_eq!(hub.page("o/r"), "https://mirror.example/o/r");
    assert_eq!(name("https://mirror.example/o/r/resolve/main/m.gguf").as_deref(), Some("m.gguf"));
    assert_eq!(name("https://huggingface.co/o/r/resolve/main/m.gguf").as_deref(), Some("m.gguf"));
    assert_eq!(name("https://evil.example/o/r/resolve/main/m.gguf"), None);
    assert_eq!(name("https://evil.example/huggingface.co/o/r/resolve/main/m.gguf"), None);
}
