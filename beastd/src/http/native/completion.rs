//! `/completion`: continues raw prompts, in llama-server's format.

use beast_protocol::Generate;
use hyper::StatusCode;
use serde_json::Value;

use super::request::{self, Completions};
use super::script::{Partials, whole};
use crate::http::answers::Answers;
use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::fields::Fields;
use crate::http::models;
use crate::http::openai;
use crate::http::refusal::{Dialect, Refusal};
use crate::http::stream;
use crate::http::vocabulary::hold;

pub(crate) async fn answer(asked: Asked) -> Result<Reply, Refusal> {
    let Asked { client, headers, body, .. } = asked;
    let priority = openai::priority(&headers)?;
    let model = models::named(&client.shared, Fields::new(&body).text("model")?).await?;
    let held = hold(&client, model.as_deref()).await?;
    let (defaults, max_tokens) = (held.ready.facts.sampling, client.shared.config().max_tokens);
    let Completions { wishes, all } =
        held.beside(move |admission| request::read(&body, admission, defaults, max_tokens)).await?;
    let requests: Vec<Generate> =
        all.iter().map(|one| Generate { model: model.clone(), priority, ..one.request.clone() }).collect();
    let n_answers = requests.len();
    let answers = Answers::begin(&client.shared, requests).await?;
    // Each request now has a lease of its own.
    drop(held);
    if wishes.is_stream {
        return Ok(stream::reply(answers, Partials::new(wishes, all), client.line));
    }
    Ok(stream::whole(&client.line, async move {
        let answers = match answers.collect(n_answers).await {
            Ok(answers) => answers,
            Err(error) => return Refusal::from(error).reply(Dialect::OpenAi),
        };
        let each = all.iter().zip(&answers).enumerate();
        let mut bodies: Vec<Value> =
            each.map(|(n, (completion, answer))| whole(n, completion, answer, &wishes)).collect();
        let body = if wishes.is_list { Value::Array(bodies) } else { bodies.swap_remove(0) };
        json_reply(StatusCode::OK, &body)
    })
    .await)
}
