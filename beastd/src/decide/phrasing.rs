//! Phrases a question for the model, in several orders whose biases differ. Text only: knows no tokens.

use beast_protocol::{AnswerOption, MAX_OPTIONS, Question, QuestionKind};

/// Separates the text from a question. No instruction precedes the text: small models answer better without one.
pub(super) const GAP: &str = "\n\n";
const MAX_ORDERS: usize = 5;

const LABELS: [&str; MAX_OPTIONS] = [
    "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W",
    "X", "Y", "Z",
];

/// One phrasing of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phrasing {
    /// The prompt after the text, up to the end of the turn.
    pub(super) tail: String,
    /// For each option, in the question's order, how an answer that chooses it may begin.
    pub(super) spellings: Vec<Vec<String>>,
}

/// Phrasings answered with the options' names, and phrasings answered with labels, for options that begin alike.
pub(super) struct Phrasings {
    pub(super) in_words: Vec<Phrasing>,
    pub(super) with_labels: Vec<Phrasing>,
}

/// All phrasings of a question.
pub(super) fn phrasings(question: &Question) -> Phrasings {
    let orders = orders(question);
    Phrasings {
        in_words: orders.iter().map(|order| in_words(question, order)).collect(),
        with_labels: orders.iter().map(|order| with_labels(question, order)).collect(),
    }
}

/// Orders of the options, as indices. A scale is only ordered upwards and downwards; other options rotate through all
/// positions, up to [`MAX_ORDERS`].
fn orders(question: &Question) -> Vec<Vec<usize>> {
    let n = question.options.len();
    let forward: Vec<usize> = (0..n).collect();
    match question.kind {
        QuestionKind::YesNo | QuestionKind::Score => vec![forward.clone(), forward.into_iter().rev().collect()],
        QuestionKind::Choice => {
            let n_orders = n.clamp(1, MAX_ORDERS);
            let rotation = |nth: usize| (0..n).map(|place| (place + nth * n / n_orders) % n).collect();
            (0..n_orders).map(rotation).collect()
        }
    }
}

fn in_words(question: &Question, order: &[usize]) -> Phrasing {
    let options = &question.options;
    let names: Vec<String> = options.iter().map(|option| spoken(question.kind, option)).collect();
    let mut tail = format!("Question: {}", question.text.trim());
    let described: Vec<usize> = order.iter().copied().filter(|&nth| !options[nth].description.is_empty()).collect();
    for &nth in &described {
        tail += &format!("\n{}: {}", names[nth], options[nth].description);
    }
    tail += if described.is_empty() { " " } else { "\n" };
    tail += &match (question.kind, order) {
        (QuestionKind::Score, [first, .., last]) => {
            format!("Answer with a number from {} to {}.", names[*first], names[*last])
        }
        _ => format!("{}?", listed(order.iter().map(|&nth| names[nth].as_str()))),
    };
    Phrasing { tail, spellings: options.iter().map(|option| spellings(&option.name)).collect() }
}

fn with_labels(question: &Question, order: &[usize]) -> Phrasing {
    let options = &question.options;
    let mut tail = format!("Question: {}\n", question.text.trim());
    let mut spellings = vec![Vec::new(); options.len()];
    for (&nth, label) in order.iter().zip(LABELS) {
        let AnswerOption { description, .. } = &options[nth];
        let name = spoken(question.kind, &options[nth]);
        let description = if description.is_empty() { String::new() } else { format!(": {description}") };
        tail += &format!("{label}. {name}{description}\n");
        spellings[nth] = vec![label.to_owned(), format!(" {label}")];
    }
    tail += &format!("{}?", listed(LABELS.into_iter().take(order.len())));
    Phrasing { tail, spellings }
}

/// The name of an option in the prompt.
fn spoken(kind: QuestionKind, option: &AnswerOption) -> String {
    match kind {
        QuestionKind::YesNo => capitalized(&option.name),
        _ => option.name.clone(),
    }
}

/// `a, b or c`.
fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    match &words[..] {
        [before @ .., last] if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        words => words.concat(),
    }
}

/// How an answer with this name may begin: models differ in case and in the leading space.
fn spellings(name: &str) -> Vec<String> {
    let name = name.trim();
    let mut all = vec![name.to_owned(), capitalized(name), name.to_lowercase(), name.to_uppercase()];
    all.sort();
    all.dedup();
    all.iter().flat_map(|name| [name.clone(), format!(" {name}")]).collect()
}

fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
#[path = "phrasing_tests.rs"]
mod tests;
