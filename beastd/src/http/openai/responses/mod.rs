//! `/v1/responses`, stateless: a request must contain everything that it refers to.

mod events;
mod input;
mod object;
mod request;

use beast_protocol::{Event, Generate};
use hyper::StatusCode;

use events::Narration;
use object::Echo;
pub(crate) use request::generate;

use crate::http::answers::Answers;
use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::fields::Fields;
use crate::http::models;
use crate::http::refusal::{Dialect, Refusal};
use crate::http::stream::{self, Script, named};

pub(crate) async fn answer(asked: Asked) -> Result<Reply, Refusal> {
    let fields = Fields::new(&asked.body);
    let model = models::named(&asked.client.shared, fields.text("model")?).await?;
    let request = Generate { model, priority: super::priority(&asked.headers)?, ..generate(&fields)? };
    let is_stream = fields.flag("stream")?.unwrap_or(false);
    let narration = Narration::new(Echo::read(&fields, &request)?, request::wishes(&fields)?);
    let answers = Answers::begin(&asked.client.shared, vec![request]).await?;
    if is_stream {
        return Ok(stream::reply(answers, Told { narration, out: Vec::new() }, asked.client.line));
    }
    Ok(stream::whole(&asked.client.line, collect(answers, narration)).await)
}

async fn collect(mut answers: Answers, mut narration: Narration) -> Reply {
    while let Some((_, event)) = answers.next().await {
        match event {
            Event::Failed(error) => return Refusal::from(error).reply(Dialect::OpenAi),
            event => narration.take(event, &mut Vec::new()),
        }
    }
    json_reply(StatusCode::OK, &narration.response())
}

struct Told {
    narration: Narration,
    out: Vec<(&'static str, serde_json::Value)>,
}

impl Told {
    fn write(&mut self, out: &mut Vec<u8>) {
        for (name, value) in self.out.drain(..) {
            named(out, name, &value);
        }
    }
}

impl Script for Told {
    fn event(&mut self, _: usize, event: Event, out: &mut Vec<u8>) {
        self.narration.take(event, &mut self.out);
        self.write(out);
    }

    fn failed(&mut self, refusal: &Refusal, out: &mut Vec<u8>) {
        self.narration.failed(refusal, &mut self.out);
        self.write(out);
    }

    // `response.completed` already marks the end.
    fn end(&mut self, _: &mut Vec<u8>) {}
}
