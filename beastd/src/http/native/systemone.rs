//! `/v1/systemone`: typed questions about a state, answered with probabilities, in llama-server's format.

use std::io;

use beast_protocol::{AnswerOption, Decide, Decided, Event, Question, QuestionKind, expected_level, likeliest};
use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::answering::{self, Peer, Stopped};
use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::fields::Fields;
use crate::http::refusal::{Dialect, Refusal};
use crate::http::wire::Line;
use crate::http::{models, stream};
use crate::tools::to_json;

/// Levels of a scale.
const N_LEVELS: std::ops::RangeInclusive<usize> = 2..=10;
const MAX_IMAGES: usize = 8;

/// A question's id, and its options as the answer will name them.
struct Named {
    id: String,
    kind: QuestionKind,
    /// Name and description of each option, unchanged.
    options: Vec<(String, Value)>,
}

pub(crate) async fn answer(asked: Asked) -> Result<Reply, Refusal> {
    let fields = Fields::new(&asked.body);
    let shared = asked.client.shared;
    let model = models::named(&shared, fields.text("model")?).await?;
    let (request, named) = read(&fields)?;
    let request = Decide { model, ..request };
    let mut peer = Waiting { line: asked.client.line.clone(), decided: None };
    Ok(stream::whole(&asked.client.line, async move {
        match answering::decide(&shared, &mut peer, request).await {
            Ok(()) => match peer.decided {
                Some(decided) => json_reply(StatusCode::OK, &body_of(&decided, &named)),
                None => Refusal::internal("the answer is incomplete; try: repeat the request").reply(Dialect::OpenAi),
            },
            Err(Stopped::Refused(error)) => Refusal::from(error).reply(Dialect::OpenAi),
            // The client has disconnected, so this response reaches no one.
            Err(stopped) => Refusal::invalid(stopped.to_string()).reply(Dialect::OpenAi),
        }
    })
    .await)
}

/// The client that waits for the decision.
struct Waiting {
    line: Line,
    decided: Option<Decided>,
}

impl Peer for Waiting {
    async fn send(&mut self, events: &[Event]) -> io::Result<()> {
        for event in events {
            if let Event::Decided(decided) = event {
                self.decided = Some(decided.clone());
            }
        }
        Ok(())
    }

    async fn departure(&mut self) -> Stopped {
        self.line.gone_whole().await;
        Stopped::Gone
    }
}

fn read(fields: &Fields<'_>) -> Result<(Decide, Vec<Named>), Refusal> {
    let state = fields.value("state").ok_or_else(|| fields.wrong("state", "a string, an object or an array"))?;
    let questions = fields.object("questions")?.filter(|questions| !questions.is_empty());
    let questions = questions.ok_or_else(|| fields.wrong("questions", "an object with at least one question"))?;
    let mut named = Vec::new();
    let mut asked = Vec::new();
    for (id, question) in questions {
        let path = format!("questions.{id}.");
        let question = question.as_object().ok_or_else(|| fields.wrong(&format!("questions.{id}"), "an object"))?;
        let (text, one) = read_question(id, &Fields::within(question, &path))?;
        let option = |(name, description): &(String, Value)| AnswerOption {
            name: name.clone(),
            description: if description.is_null() { String::new() } else { text_of(description) },
        };
        asked.push(Question { text, kind: one.kind, options: one.options.iter().map(option).collect() });
        named.push(one);
    }
    check_images(fields, state)?;
    Ok((Decide { state: text_of(state), questions: asked, ..Decide::default() }, named))
}

fn read_question(id: &str, fields: &Fields<'_>) -> Result<(String, Named), Refusal> {
    let text = fields.value("instructions").map(text_of);
    let text = text.ok_or_else(|| fields.wrong("instructions", "a string, an object or an array"))?;
    let (kind, options) = match fields.text("type")? {
        Some("choice") => {
            let criteria = fields.object("criteria")?.filter(|criteria| !criteria.is_empty());
            let criteria = criteria.ok_or_else(|| fields.wrong("criteria", "an object with at least one option"))?;
            (QuestionKind::Choice, criteria.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        Some("score") => {
            let criteria = fields.list("criteria")?.filter(|criteria| N_LEVELS.contains(&criteria.len()));
            let criteria = criteria.ok_or_else(|| fields.wrong("criteria", "an array of 2 to 10 levels"))?;
            let levels = criteria.iter().enumerate().map(|(level, value)| (level.to_string(), value.clone()));
            (QuestionKind::Score, levels.collect())
        }
        Some("noul") => {
            let criteria = fields.object("criteria")?;
            let of = |name: &str| criteria.and_then(|criteria| criteria.get(name)).cloned().unwrap_or_default();
            (QuestionKind::YesNo, vec![("yes".to_owned(), of("true")), ("no".to_owned(), of("false"))])
        }
        _ => return Err(fields.wrong("type", "choice, score or noul")),
    };
    Ok((text, Named { id: id.to_owned(), kind, options }))
}

/// Images are not supported, but invalid ones are still reported as invalid.
fn check_images(fields: &Fields<'_>, state: &Value) -> Result<(), Refusal> {
    let mut images: Vec<&Value> = fields.list("images")?.into_iter().flatten().collect();
    let messages = state.get("messages").unwrap_or(state).as_array();
    for part in messages.into_iter().flatten().filter_map(|message| message.get("content")?.as_array()).flatten() {
        if part["type"] == "image_url"
            && let Some(image) = part.get("image_url")
        {
            images.push(image.get("url").unwrap_or(image));
        }
    }
    let is_data = |image: &&Value| image.as_str().is_some_and(|url| url.starts_with("data:image/"));
    if images.len() > MAX_IMAGES || !images.iter().all(is_data) {
        return Err(fields.wrong("images", "at most 8 data URLs (data:image/...;base64,...)"));
    }
    if images.is_empty() && !fields.has("videos") {
        return Ok(());
    }
    let text = "images are not supported; try: describe them in the state";
    Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "not_supported_error", text))
}

fn body_of(decided: &Decided, named: &[Named]) -> Value {
    let answers: Map<String, Value> = named
        .iter()
        .zip(&decided.probabilities)
        .map(|(one, probabilities)| (one.id.clone(), answer_of(one, probabilities)))
        .collect();
    json!({
        "model": decided.model,
        "answers": answers,
        "usage": { "input_tokens": decided.usage.n_prompt, "output_tokens": 0 },
    })
}

fn answer_of(Named { kind, options, .. }: &Named, probabilities: &[f32]) -> Value {
    let by_name = || -> Map<String, Value> {
        options.iter().zip(probabilities).map(|((name, _), &probability)| (name.clone(), digits(probability))).collect()
    };
    match kind {
        QuestionKind::YesNo => json!({ "type": "noul", "noul": digits(probabilities.first().copied().unwrap_or(0.0)) }),
        QuestionKind::Choice => json!({
            "type": "choice",
            "choice": options.get(likeliest(probabilities)).map(|(name, _)| name),
            "probabilities": by_name(),
            "confidence": digits(confidence_of_choice(probabilities)),
        }),
        QuestionKind::Score => {
            let legend: Map<String, Value> = options.iter().cloned().collect();
            json!({
                "type": "score",
                "score": digits(expected_level(probabilities) as f32),
                "legend": legend,
                "probabilities": by_name(),
                "confidence": digits(confidence_of_score(probabilities)),
            })
        }
    }
}

/// Rounded to single precision: converting the `f32` to `f64` would add digits.
fn digits(number: f32) -> Value {
    ((f64::from(number) * 1e6).round() / 1e6).into()
}

/// 0 if all options are equally likely, 1 if one is certain.
fn confidence_of_choice(probabilities: &[f32]) -> f32 {
    let n = probabilities.len() as f32;
    if n < 2.0 {
        return 1.0;
    }
    let most = probabilities.iter().copied().fold(0.0, f32::max);
    ((most * n - 1.0) / (n - 1.0)).clamp(0.0, 1.0)
}

/// 1 if one level is certain, 0 if levels are on average as far from the likeliest one as all are from the middle.
fn confidence_of_score(probabilities: &[f32]) -> f32 {
    let n = probabilities.len();
    if n < 2 {
        return 1.0;
    }
    let (mode, middle) = (likeliest(probabilities) as f32, (n - 1) as f32 / 2.0);
    let spread: f32 = probabilities.iter().enumerate().map(|(level, p)| p * (level as f32 - mode).abs()).sum();
    let even: f32 = (0..n).map(|level| (level as f32 - middle).abs() / n as f32).sum();
    (1.0 - spread / even).clamp(0.0, 1.0)
}

/// A value as the model reads it: strings unchanged, anything else as JSON.
fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| to_json(value), str::to_owned)
}

#[cfg(test)]
#[path = "systemone_tests.rs"]
mod tests;
