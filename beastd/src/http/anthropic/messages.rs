//! The route `/v1/messages`.

use beast_protocol::Generate;
use hyper::StatusCode;

use super::request::generate;
use super::script::{Told, whole};
use crate::http::answers::Answers;
use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::fields::Fields;
use crate::http::ids::{name_request, request_id};
use crate::http::refusal::{Dialect, Refusal};
use crate::http::{models, openai, stream};

pub(crate) async fn answer(asked: Asked) -> Result<Reply, Refusal> {
    let fields = Fields::new(&asked.body);
    let model = models::named(&asked.client.shared, fields.text("model")?).await?;
    let is_stream = fields.flag("stream")?.unwrap_or(false);
    let request = Generate { model, priority: openai::priority(&asked.headers)?, ..generate(&fields)? };
    let answers = Answers::begin(&asked.client.shared, vec![request]).await?;
    let (id, request_id) = (format!("msg_{}", crate::http::ids::random_id(24)), request_id());
    let mut reply = if is_stream {
        stream::reply(answers, Told::new(id, request_id.clone()), asked.client.line)
    } else {
        let document = async move {
            match answers.collect(1).await {
                Ok(answers) => json_reply(StatusCode::OK, &whole(&id, &answers[0])),
                Err(error) => Refusal::from(error).reply(Dialect::Anthropic),
            }
        };
        stream::whole(&asked.client.line, document).await
    };
    name_request(&mut reply, &request_id);
    Ok(reply)
}
