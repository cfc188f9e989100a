//! `/models/load` and `/models/unload`, as llama-server's router has them, for clients with a key.

use hyper::StatusCode;
use serde_json::json;

use crate::answering::{Change, Which};
use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::fields::Fields;
use crate::http::models::{self, ModelCard, unknown};
use crate::http::refusal::Refusal;
use crate::http::vocabulary::change;

pub(crate) async fn load(asked: Asked) -> Result<Reply, Refusal> {
    let model = model(&asked).await?;
    change(&asked.client, Change::Load(model)).await?;
    Ok(json_reply(StatusCode::OK, &json!({ "success": true })))
}

pub(crate) async fn unload(asked: Asked) -> Result<Reply, Refusal> {
    let which = model(&asked).await?.map_or(Which::Default, Which::Named);
    change(&asked.client, Change::Unload(which)).await?;
    Ok(json_reply(StatusCode::OK, &json!({ "success": true })))
}

/// The model of the request, which must be here; `None` for the default one.
async fn model(asked: &Asked) -> Result<Option<String>, Refusal> {
    let (fields, shared) = (Fields::new(&asked.body), &asked.client.shared);
    if shared.config().http.api_keys.is_empty() {
        // Where none is required, any program of this machine could unload what others use.
        let text = "loading and unloading over HTTP needs an API key; try: set http.api_key, or use beastctl load";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "permission_error", text));
    }
    let name = fields.text("model")?.ok_or_else(|| fields.wrong("model", "the name of a model"))?;
    let model = models::named(shared, Some(name)).await?;
    let is_here = model.is_some() || name == "default" || ModelCard::current(shared).is_called(name);
    if is_here { Ok(model) } else { Err(unknown(name)) }
}
