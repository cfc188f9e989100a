use beast_launchd::model;

use super::*;

#[test]
fn the_default_comes_first_and_its_draft_is_there() {
    let entries = entries();
    assert_eq!((entries[0].name.as_str(), entries[0].file.as_str()), (model::DEFAULT_NAME, model::DEFAULT));
    let draft = find(entries[0].draft.as_deref().unwrap()).unwrap();
    assert_eq!(draft.file, model::DEFAULT_DRAFT);
}

#[test]
fn every_entry_is_complete_and_its_own() {
    let entries = entries();
    for (at, entry) in entries.iter().enumerate() {
        assert!(entry.repo.split('/').count() == 2 && entry.file.ends_with(".gguf") && entry.bytes > 1_000_000);
        assert!(!entry.about.is_empty() && !entry.licence.is_empty() && entry.licence_url.starts_with("https://"));
        assert_ne!(entry.sampling, Sampling::default(), "{}", entry.name);
        assert!(entry.draft.as_ref().is_none_or(|name| find(name).is_some()), "{}", entry.name);
        let others = &entries[at + 1..];
        assert!(others.iter().all(|other| other.name != entry.name && other.file != entry.file), "{}", entry.name);
    }
}

#[test]
fn capitals_do_not_matter() {
    assert_eq!(find("LFM2-350M").unwrap().name, "lfm2-350m");
    assert!(find("lfm").is_none());
}

#[test]
fn sampling_is_said_as_it_is_typed() {
    assert_eq!(find("lfm2-2.6b").unwrap().sampling.text(), "--temp 0.3, --min-p 0.15, --repeat-penalty 1.05");
}
