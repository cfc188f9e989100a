use super::*;
use crate::exit::Failing;

fn repo(repo: &str, what: What) -> Reference {
    Reference::Repo { repo: repo.into(), what }
}

#[test]
fn every_way_to_name_a_model() {
    let of = |word: &str| parse(word).unwrap();
    assert!(matches!(of("LFM2-2.6b"), Reference::Entry(entry) if entry.name == "lfm2-2.6b"));
    let quant = repo("LiquidAI/LFM2-1.2B-GGUF", What::Quant("Q4_K_M".into()));
    assert_eq!(of("LiquidAI/LFM2-1.2B-GGUF:Q4_K_M"), quant);
    assert_eq!(of("hf.co/LiquidAI/LFM2-1.2B-GGUF:Q4_K_M"), quant);
    assert_eq!(of("org/repo"), repo("org/repo", What::Any));
    assert_eq!(of("org/repo/sub/m.gguf"), repo("org/repo", What::File("sub/m.gguf".into())));
    assert_eq!(of("https://huggingface.co/org/repo"), repo("org/repo", What::Any));
    let page = "https://huggingface.co/org/repo/blob/main/m.gguf?x=1";
    assert_eq!(of(page), repo("org/repo", What::File("m.gguf".into())));
    let other = "https://huggingface.co/org/repo/blob/dev/m.gguf";
    assert_eq!(of(other), Reference::Url("https://huggingface.co/org/repo/resolve/dev/m.gguf".into()));
    assert_eq!(of("http://a.example/m.gguf"), Reference::Url("http://a.example/m.gguf".into()));
    assert_eq!(of("/no/such.gguf"), Reference::Path("/no/such.gguf".into()));
    assert_eq!(of("./m.gguf"), Reference::Path("./m.gguf".into()));
}

#[test]
fn what_names_nothing_says_what_is_near() {
    let error = parse("lfm2-2.6").unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("lfm2-2.6b"));
    for word in ["", "nonsense", "../..", "a/../b", "org/repo:", "org/repo/file.txt", "org/re po", "a/b:c/d", "~x/y"] {
        assert!(!matches!(parse(word), Ok(Reference::Repo { .. } | Reference::Entry(_))), "{word}");
    }
}

#[test]
fn for_the_daemon_a_path_is_absolute_and_a_name_stays() {
    let here = std::env::current_dir().expect("it exists");
    assert_eq!(named("./a.gguf"), here.join("a.gguf").display().to_string());
    assert_eq!(named("Cargo.toml"), here.join("Cargo.toml").display().to_string(), "a file of the folder");
    for name in ["/m/a.gguf", "lfm2-350m", "a/b:Q4_0", "auto"] {
        assert_eq!(named(name), name);
    }
}
