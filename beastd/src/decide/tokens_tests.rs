use super::*;
use crate::engine::fake::ByteVocab;

fn of(spellings: &[&[&str]]) -> Option<Vec<Vec<Token>>> {
    let spellings: Vec<Vec<String>> =
        spellings.iter().map(|one| one.iter().map(|&text| text.to_owned()).collect()).collect();
    beginnings(&spellings, &ByteVocab)
}

#[test]
fn each_answer_has_the_tokens_that_are_its_own() {
    let token = |byte: u8| Token(i32::from(byte));
    // The token for a blank begins both answers.
    let found = of(&[&["Yes", "yes", " yes", "yes"], &["No", "no", " no"]]).expect("they differ");
    assert_eq!(found, [vec![token(b'Y'), token(b'y')], vec![token(b'N'), token(b'n')]]);
}

#[test]
fn answers_that_begin_alike_cannot_be_told_apart() {
    assert_eq!(of(&[&["billing"], &["bug"]]), None);
    assert_eq!(of(&[&["1"], &["10"]]), None);
    assert_eq!(of(&[&[""], &["a"]]), None, "nothing begins an empty answer");
}
