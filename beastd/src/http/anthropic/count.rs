//! `/v1/messages/count_tokens`: the length of a prompt.

use beast_protocol::Generate;
use hyper::StatusCode;
use serde_json::json;

use super::request::conversation;
use crate::admission::Admission;
use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::fields::Fields;
use crate::http::ids::{name_request, request_id};
use crate::http::refusal::Refusal;
use crate::http::vocabulary::hold_named;

pub(crate) async fn answer(asked: Asked) -> Result<Reply, Refusal> {
    let fields = Fields::new(&asked.body);
    let request = conversation(&fields)?;
    let n = hold_named(&asked.client, &fields).await?.beside(move |admission| n_prompt(admission, &request)).await?;
    let mut reply = json_reply(StatusCode::OK, &json!({ "input_tokens": n }));
    name_request(&mut reply, &request_id());
    Ok(reply)
}

fn n_prompt(admission: &Admission, request: &Generate) -> Result<usize, Refusal> {
    Ok(admission.n_prompt(request)?)
}
