use super::*;

#[test]
fn a_repository_is_told_from_a_name_and_a_path() {
    assert_eq!(repository("LiquidAI/LFM2-1.2B-GGUF:Q4_K_M"), Some(("LiquidAI/LFM2-1.2B-GGUF", Some("Q4_K_M"))));
    assert_eq!(repository("hf.co/a/b"), Some(("a/b", None)));
    assert_eq!((repository("llama3:8b"), repository("a/b/c"), repository("a b/c")), (None, None, None));
    assert!(is_path("/m.gguf") && is_path("~/m.gguf") && is_path("../m.gguf") && !is_path("a/b"));
}

#[test]
fn a_file_belongs_to_a_repository_by_its_record_or_the_catalogue() {
    let folder = tempfile::tempdir().expect("a folder");
    let record =
        r#"{"url":"https://huggingface.co/Some/Repo-GGUF/resolve/main/x-Q8_0.gguf","sha256":null,"licence":null}"#;
    fs::write(folder.path().join("x-Q8_0.gguf.json"), record).expect("writable");
    let is = |file, repo, quant| is_of(folder.path(), file, repo, quant);
    assert!(is("x-Q8_0.gguf", "some/repo-gguf", Some("q8_0")) && is("x-Q8_0.gguf", "Some/Repo-GGUF", None));
    assert!(!is("x-Q8_0.gguf", "Some/Repo-GGUF", Some("Q4_0")) && !is("x-Q8_0.gguf", "Other/Repo", None));
    assert!(!is("x-Q8_0.gguf", "Some/Repo-GGUF", Some("8_0")), "a quantization is a whole word");
    assert!(is("LFM2-2.6B-Q4_K_M.gguf", "LiquidAI/LFM2-2.6B-GGUF", Some("Q4_K_M")));
}

#[test]
fn a_path_an_alias_and_a_typo_are_understood() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.gguf");
    fs::write(&path, "GGUF").expect("writable");
    let setting = path.display().to_string();
    let aliases = [("fast".to_owned(), setting.clone()), ("tiny".to_owned(), "builtin".to_owned())];
    assert_eq!(resolve(&setting, &[]), Ok(setting.clone()));
    assert_eq!(resolve("Fast", &aliases), Ok(setting.clone()));
    assert_eq!((resolve("tiny", &aliases), resolve("auto", &[])), (Ok("builtin".into()), Ok("auto".into())));
    let missing = folder.path().join("no.gguf");
    assert_eq!(resolve(&missing.display().to_string(), &[]), Err(NameError::NoFile(missing)));
    let error = resolve("lfm2-26b", &[]).expect_err("nothing has that name").to_string();
    assert_eq!(error, "unknown model lfm2-26b, did you mean lfm2-2.6b?; try: beastctl models");
    let aliases = [("un".to_owned(), "nosuch".to_owned()), ("loop".to_owned(), "loop".to_owned())];
    let error = resolve("un", &aliases).expect_err("its meaning is no model").to_string();
    assert_eq!(error, "the alias un names an unknown model, nosuch; try: fix aliases in the configuration");
    let error = resolve("loop", &aliases).expect_err("it means itself").to_string();
    assert_eq!(error, "the alias loop names an unknown model, loop; try: fix aliases in the configuration");
    let error = resolve("no/such-repo:Q4_0", &[]).expect_err("not on disk").to_string();
    assert_eq!(error, "the model no/such-repo:Q4_0 is not on disk; try: beastctl models pull no/such-repo:Q4_0");
}

#[test]
fn two_names_of_one_file_are_one_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, link) = (folder.path().join("a.gguf"), folder.path().join("b.gguf"));
    fs::write(&file, "GGUF").expect("writable");
    std::os::unix::fs::symlink(&file, &link).expect("writable");
    let of = |path: &Path| FileId::of(&path.display().to_string());
    assert_eq!(of(&file), of(&link));
    assert_eq!(FileId::of("builtin"), FileId::Builtin);
    assert!(matches!(of(&folder.path().join("c.gguf")), FileId::Missing(_)));
    assert_eq!(
        (label("/x/LFM2-350M-Q4_K_M.gguf"), label("/x/a.gguf"), label("builtin")),
        ("lfm2-350m".to_owned(), "a".to_owned(), "builtin".to_owned())
    );
}
