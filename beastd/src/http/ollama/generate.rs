//! `/api/generate`, and the generation that it shares with `/api/chat`.

use std::time::Instant;

use beast_protocol::{Generate, Message, RawPrompt, Role};
use hyper::StatusCode;

use super::lines::{Clock, Lines, Shape};
use super::{format, keep_alive, options, refuse_images, think};
use crate::http::answers::{Answer, Answers};
use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::client::Client;
use crate::http::fields::Fields;
use crate::http::refusal::{Dialect, Refusal};
use crate::http::{models, openai, stream};

pub(crate) async fn answer(asked: Asked) -> Result<Reply, Refusal> {
    let fields = Fields::new(&asked.body);
    let model = models::named(&asked.client.shared, fields.text("model")?).await?;
    let is_stream = fields.flag("stream")?.unwrap_or(true);
    if fields.text("prompt")?.unwrap_or_default().is_empty() {
        return keep_alive::change_model(&asked, model, ("response", "".into()), is_stream).await;
    }
    let request = generate(&fields, asked.client.shared.config().n_ctx)?;
    super::models::check_thinking(&asked.client, model.as_deref(), &fields, &request.template).await?;
    let request = Generate { model, priority: openai::priority(&asked.headers)?, ..request };
    run(asked.client, request, Shape::Generate, is_stream).await
}

fn generate(fields: &Fields<'_>, n_ctx: usize) -> Result<Generate, Refusal> {
    keep_alive::is_over(fields)?;
    refuse_images(fields)?;
    if fields.text("suffix")?.is_some_and(|suffix| !suffix.is_empty()) {
        return Err(Refusal::invalid_field("suffix", "suffix is not supported; try: leave it out"));
    }
    if fields.text("template")?.is_some_and(|template| !template.is_empty()) {
        // The field holds a Go template that was written for another model.
        let text = "template is not supported: the model's own is used; try: send the whole prompt with raw: true";
        return Err(Refusal::invalid_field("template", text));
    }
    let prompt = fields.text("prompt")?.unwrap_or_default().to_owned();
    let request = Generate { constraint: format(fields)?, template: think(fields)?, ..options::read(fields, n_ctx)? };
    if fields.flag("raw")?.unwrap_or(false) {
        return Ok(Generate { raw: Some(RawPrompt::Text(prompt)), ..request });
    }
    let system = fields.text("system")?.filter(|system| !system.is_empty());
    let system = system.map(|system| Message::new(Role::System, system));
    let messages = system.into_iter().chain([Message::new(Role::User, prompt)]).collect();
    Ok(Generate { messages, ..request })
}

/// Generates an answer in the given shape.
pub(super) async fn run(client: Client, request: Generate, shape: Shape, is_stream: bool) -> Result<Reply, Refusal> {
    let arrived = Instant::now();
    let answers = Answers::begin(&client.shared, vec![request]).await?;
    let clock = Clock { arrived, loading: arrived.elapsed() };
    if is_stream {
        return Ok(stream::reply(answers, Lines::new(shape, clock), client.line));
    }
    let document = async move {
        match answers.collect(1).await.map(|mut answers| answers.pop()) {
            Ok(answer) => json_reply(StatusCode::OK, &shape.whole(answer.unwrap_or_else(Answer::default), clock)),
            Err(error) => Refusal::from(error).reply(Dialect::Ollama),
        }
    };
    Ok(stream::whole(&client.line, document).await)
}

#[cfg(test)]
#[path = "generate_tests.rs"]
mod tests;
