use super::*;

fn found(words: &[&str]) -> Found {
    Found::new(super::super::command(), words.iter().map(OsString::from).collect()).unwrap()
}

#[test]
fn paths_are_left_to_the_shell() {
    for (words, paths, prefix) in [
        (&["beastctl", "summarize", "~/un"][..], Some(Paths::Any), ""),
        (&["beastctl", "translate", "a", "b"], Some(Paths::Any), ""),
        (&["beastctl", "run", "explain", "x"], Some(Paths::Any), ""),
        (&["beastctl", "ask", "--schema", "x"], Some(Paths::Any), ""),
        (&["beastctl", "ask", "--schema=/tm"], Some(Paths::Any), "--schema="),
        (&["beastctl", "man", "--dir", ""], Some(Paths::Folders), ""),
        (&["beastctl", "models", "use", "x"], Some(Paths::Gguf), ""),
        (&["beastctl", "models", "pull", "x"], Some(Paths::Gguf), ""),
        (&["beastctl", "bench", "--model=x"], Some(Paths::Gguf), "--model="),
        (&["beastctl", "models", "rm", "x"], None, ""),
        (&["beastctl", "ask", "why"], None, ""),
        (&["beastctl", "run", "expl"], None, ""),
    ] {
        let found = found(words);
        assert_eq!((found.paths, found.prefix.as_str()), (paths, prefix), "{words:?}");
    }
}

#[test]
fn options_are_offered_to_whoever_begins_one() {
    let is_option = |word: &Word| word.value.starts_with('-');
    assert!(!found(&["beastctl", "summarize", ""]).words.iter().any(is_option));
    let options = found(&["beastctl", "summarize", "--tr"]).words;
    assert_eq!(options.iter().map(|word| word.value.as_str()).collect::<Vec<_>>(), ["--truncate"]);
    // Options are offered if there is nothing else.
    assert!(found(&["beastctl", "status", ""]).words.iter().all(is_option));
}
