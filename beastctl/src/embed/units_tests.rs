use super::*;

fn source(text: &str) -> Vec<Source> {
    vec![Source { name: Some("a".into()), text: text.into() }]
}

fn places<'a>(units: &[Unit<'a>]) -> Vec<(usize, &'a str)> {
    units.iter().map(|unit| (unit.line, unit.text)).collect()
}

const TEXT: &str = "one\n\n  \ntwo \r\nthree\n\n\nfour";

#[test]
fn blank_lines_have_no_vector_and_count_as_lines() {
    let sources = source(TEXT);
    assert_eq!(places(&split(&sources, By::Line)), [(1, "one"), (4, "two"), (5, "three"), (8, "four")]);
}

#[test]
fn paragraphs_are_separated_by_blank_lines() {
    let sources = source(TEXT);
    assert_eq!(places(&split(&sources, By::Paragraph)), [(1, "one"), (4, "two \r\nthree"), (8, "four")]);
    assert!(split(&source("\n \n"), By::Paragraph).is_empty());
}

#[test]
fn a_file_is_one_text() {
    let sources = source("one\n\ntwo\n");
    assert_eq!(places(&split(&sources, By::File)), [(1, "one\n\ntwo")]);
    assert!(split(&source("\n"), By::File).is_empty());
}

#[test]
fn passages_are_whole_paragraphs_of_bounded_length_and_leave_nothing_out() {
    let paragraph = |n: usize| format!("{}\n\n", "word ".repeat(n));
    let text = [paragraph(100), paragraph(100), paragraph(100), "end\n".to_owned()].concat();
    let sources = source(&text);
    let units = passages(&sources);
    let lines: Vec<usize> = units.iter().map(|unit| unit.line).collect();
    assert_eq!(lines, [1, 5]);
    let n_words: usize = units.iter().map(|unit| unit.text.split_whitespace().count()).sum();
    assert_eq!(n_words, text.split_whitespace().count());
    // A single long paragraph is split between lines.
    let sources = source(&"a line of some length, which is repeated\n".repeat(100));
    let units = passages(&sources);
    assert!(units.len() > 3 && units.iter().all(|unit| unit.text.len() <= PASSAGE), "{}", units.len());
    assert_eq!(units[1].line, 1 + units[0].text.lines().count());
}
