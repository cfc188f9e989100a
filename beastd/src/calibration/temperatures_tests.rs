use super::*;

fn fitted(kind: QuestionKind, temperature: f32) -> KeepTemperatures {
    KeepTemperatures { model: None, temperatures: vec![(kind, temperature)], n_examples: 50 }
}

#[test]
fn what_was_kept_beside_a_model_is_found_again_for_that_model_alone() {
    let folder = tempfile::tempdir().expect("there is room");
    let model = folder.path().join("model.gguf");
    let temperatures = Temperatures::find(&model, &[1; 32]);
    assert_eq!(temperatures.of(QuestionKind::YesNo), 1.0);
    let path = temperatures.keep(&fitted(QuestionKind::YesNo, 2.5)).expect("the folder can be written");
    assert_eq!(path, folder.path().join("model.gguf.decide.json"));
    temperatures.keep(&fitted(QuestionKind::Choice, 0.5)).expect("the folder can be written");
    let again = Temperatures::find(&model, &[1; 32]);
    let of = |temperatures: &Temperatures| QuestionKind::ALL.map(|kind| temperatures.of(kind));
    assert_eq!(of(&again), [2.5, 0.5, 1.0], "the second leaves the first alone");
    assert_eq!(of(&temperatures), of(&again));
    assert_eq!(of(&Temperatures::find(&model, &[2; 32])), [1.0; 3], "another model");
}

#[test]
fn what_makes_no_sense_is_not_used() {
    let folder = tempfile::tempdir().expect("there is room");
    let model = folder.path().join("model.gguf");
    let path = folder.path().join("model.gguf.decide.json");
    Temperatures::find(&model, &[1; 32]).keep(&fitted(QuestionKind::Score, 2.0)).expect("writable");
    let good = std::fs::read_to_string(&path).expect("readable");
    for text in ["", "{", "[]", &good.replace("\"version\": 1", "\"version\": 0"), &good.replace("2.0", "-2.0")] {
        std::fs::write(&path, text).expect("writable");
        assert_eq!(Temperatures::find(&model, &[1; 32]).of(QuestionKind::Score), 1.0, "{text}");
    }
}
