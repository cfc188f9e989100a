//! Decisions of a model that only tells its likely first tokens, as text. Pure: who asks it is not known here.

use beast_protocol::{
    Decide, ErrorCode, Generate, Message, Notice, NoticeKind, Overflow, Question, Role, Sampling, Span, WireError,
};

use super::arithmetic;
use super::check;
use super::phrasing::{GAP, Phrasing, phrasings};

/// Keeps a large model from beginning with a sentence.
const ONLY: &str = " Answer with that only, without any other words.";
/// Below this probability of all options together, the user is told.
const DOUBTFUL: f64 = 0.5;
const N_SHOWN: usize = 40;

/// One prompt of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedOutside {
    pub request: Generate,
    question: usize,
    /// For each option, how an answer that chooses it may begin.
    spellings: Vec<Vec<String>>,
}

/// The likely first tokens of an answer with their log-probabilities.
pub type Likely = Vec<(String, f32)>;

/// All prompts of a request.
///
/// # Errors
/// [`ErrorCode::Invalid`] for invalid questions.
pub fn asked_outside(request: &Decide) -> Result<Vec<AskedOutside>, WireError> {
    check(request)?;
    let state = request.state.trim_end();
    let gap = if state.is_empty() { "" } else { GAP };
    let material = Span { start: 0, end: state.len() as u64 };
    let overflow = request.drop.map_or(Overflow::Refuse, |drop| Overflow::Truncate { material, drop });
    let of_question = |(nth, question): (usize, &Question)| {
        told_apart(question).into_iter().map(move |phrasing| (nth, phrasing)).collect::<Vec<_>>()
    };
    let all = request.questions.iter().enumerate().flat_map(of_question);
    let prompt = |(question, Phrasing { tail, spellings }): (usize, Phrasing)| {
        let messages = vec![Message::new(Role::User, [state, gap, &tail, ONLY].concat())];
        let sampling = Sampling { temp: Some(0.0), ..Sampling::default() };
        let request = Generate { messages, sampling, overflow: overflow.clone(), ..Generate::default() };
        AskedOutside { request, question, spellings }
    };
    Ok(all.map(prompt).collect())
}

/// The phrasings whose answers differ in their first letter already: how the model divides words into tokens is not
/// known.
fn told_apart(question: &Question) -> Vec<Phrasing> {
    let all = phrasings(question);
    let first = |spellings: &Vec<String>| spellings.first()?.trim_start().chars().next().map(char::to_lowercase);
    let is_clear = |phrasing: &Phrasing| {
        let mut firsts: Vec<_> = phrasing.spellings.iter().map(|one| first(one).map(String::from_iter)).collect();
        firsts.sort_unstable();
        firsts.windows(2).all(|two| two[0] != two[1])
    };
    if all.in_words.iter().all(is_clear) { all.in_words } else { all.with_labels }
}

/// The answers to all questions, from the likely first tokens after each prompt.
///
/// # Errors
/// [`ErrorCode::Engine`] when the model would begin with something else than an option.
pub fn decided_outside(
    request: &Decide,
    asked: &[AskedOutside],
    likely: &[Likely],
) -> Result<(Vec<Vec<f32>>, Vec<Notice>), WireError> {
    let mut by_question = vec![Vec::new(); request.questions.len()];
    let mut least: f64 = 1.0;
    for (prompt, likely) in asked.iter().zip(likely) {
        let logprobs: Vec<Vec<f32>> = prompt.spellings.iter().map(|spellings| of_option(spellings, likely)).collect();
        if logprobs.iter().all(Vec::is_empty) {
            return Err(begins_otherwise(&request.questions[prompt.question], likely));
        }
        least = least.min(logprobs.iter().flatten().map(|logprob| f64::from(*logprob).exp()).sum());
        // An option that is not listed is less likely than all that are.
        let floor = likely.iter().map(|(_, logprob)| *logprob).fold(0.0, f32::min);
        let known = |logprobs: Vec<f32>| if logprobs.is_empty() { vec![floor] } else { logprobs };
        let logprobs: Vec<Vec<f32>> = logprobs.into_iter().map(known).collect();
        by_question[prompt.question].push(arithmetic::answers(&logprobs));
    }
    let probabilities = by_question.iter().map(|all| arithmetic::probabilities(&arithmetic::average(all), 1.0));
    let text = format!("the offered answers have only {:.0} % of the model's probability", least * 100.0);
    let notice = (least < DOUBTFUL).then_some(Notice { kind: NoticeKind::Warning, text });
    Ok((probabilities.collect(), Vec::from_iter(notice)))
}

/// Log-probabilities of the tokens that can only begin this option: a part of it, or all of it and a sign.
fn of_option(spellings: &[String], likely: &Likely) -> Vec<f32> {
    let begins = |token: &str| {
        let token = token.trim();
        let is_of = |spelling: &String| {
            let spelling = spelling.trim();
            let after = token.strip_prefix(spelling).and_then(|rest| rest.chars().next());
            spelling.starts_with(token) || after.is_some_and(|next| !next.is_alphanumeric())
        };
        !token.is_empty() && spellings.iter().any(is_of)
    };
    likely.iter().filter(|(token, _)| begins(token)).map(|(_, logprob)| *logprob).collect()
}

fn begins_otherwise(question: &Question, likely: &Likely) -> WireError {
    let token = likely.iter().max_by(|one, other| one.1.total_cmp(&other.1)).map(|(token, _)| token.as_str());
    let token: String = token.unwrap_or_default().chars().take(N_SHOWN).collect();
    let text = question.text.trim();
    let short: String = text.chars().take(N_SHOWN).collect();
    let text = format!(
        "the model does not begin its answer to {short:?} with any of the options, but with {token:?}; try: rename the \
         options, or pass a local model"
    );
    WireError::new(ErrorCode::Engine, text)
}

#[cfg(test)]
#[path = "outside_tests.rs"]
mod tests;
