//! The response object: the request's parameters, and the state of its answer.

use beast_protocol::{Generate, ToolChoice, Usage};
use serde_json::{Value, json};

use crate::http::fields::Fields;
use crate::http::ids::random_id;
use crate::http::openai::now_s;
use crate::http::refusal::Refusal;

/// The request parameters that a response repeats.
#[derive(Debug, Clone)]
pub(super) struct Echo(Value);

impl Echo {
    /// Reads them from a request that has already been validated.
    pub(super) fn read(fields: &Fields<'_>, request: &Generate) -> Result<Self, Refusal> {
        let or_null = |name: &str| fields.value(name).cloned().unwrap_or_default();
        let metadata = fields.object("metadata")?.cloned().unwrap_or_default();
        let reasoning = fields.object("reasoning")?;
        let reasoning = |name: &str| reasoning.and_then(|reasoning| reasoning.get(name)).cloned().unwrap_or_default();
        let format = fields.object("text")?.and_then(|text| text.get("format")).filter(|format| !format.is_null());
        let echo = json!({
            "instructions": fields.text("instructions")?,
            "metadata": metadata,
            "parallel_tool_calls": !request.tools.only_one,
            "temperature": or_null("temperature"),
            "tool_choice": choice(&request.tools.choice),
            "tools": tools(request),
            "top_p": or_null("top_p"),
            "background": false,
            "conversation": null,
            "max_output_tokens": or_null("max_output_tokens"),
            "max_tool_calls": null,
            "previous_response_id": null,
            "prompt": null,
            "prompt_cache_key": fields.text("prompt_cache_key")?,
            "reasoning": { "effort": reasoning("effort"), "summary": null },
            "safety_identifier": fields.text("safety_identifier")?,
            "service_tier": "default",
            "store": false,
            "text": { "format": format.cloned().unwrap_or_else(|| json!({ "type": "text" })) },
            "top_logprobs": request.logprobs.unwrap_or(0),
            "truncation": "disabled",
            "user": fields.text("user")?,
        });
        Ok(Self(echo))
    }
}

fn choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => json!({ "type": "function", "name": name }),
    }
}

fn tools(request: &Generate) -> Value {
    let tool = |function: &beast_protocol::Function| {
        json!({
            "type": "function",
            "name": function.name,
            "description": function.description,
            "parameters": serde_json::from_str::<Value>(&function.parameters).unwrap_or_default(),
            // Arguments always follow their schema, whether or not the request asked for it.
            "strict": true,
        })
    };
    request.tools.functions.iter().map(tool).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Running,
    Completed,
    /// Truncated by the token limit.
    Incomplete,
    Failed,
}

/// The response without its output.
#[derive(Debug, Clone)]
pub(super) struct Response {
    pub(super) model: String,
    pub(super) progress: Progress,
    pub(super) usage: Option<Usage>,
    pub(super) n_thoughts: u32,
    pub(super) failure: Option<String>,
    id: String,
    created: u64,
    echo: Echo,
}

impl Response {
    pub(super) fn new(echo: Echo) -> Self {
        Self {
            model: String::new(),
            progress: Progress::Running,
            usage: None,
            n_thoughts: 0,
            failure: None,
            id: format!("resp_{}", random_id(32)),
            created: now_s(),
            echo,
        }
    }

    pub(super) fn json(&self, output: &[Value]) -> Value {
        let (status, incomplete) = match self.progress {
            Progress::Running => ("in_progress", Value::Null),
            Progress::Completed => ("completed", Value::Null),
            Progress::Incomplete => ("incomplete", json!({ "reason": "max_output_tokens" })),
            Progress::Failed => ("failed", Value::Null),
        };
        let mut response = json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "completed_at": (self.progress == Progress::Completed).then(now_s),
            "status": status,
            "error": self.failure.as_ref().map(|text| json!({ "code": "server_error", "message": text })),
            "incomplete_details": incomplete,
            "model": self.model,
            "output": output,
            "usage": self.usage.as_ref().map(|usage| self.usage(usage)),
        });
        for (name, value) in self.echo.0.as_object().into_iter().flatten() {
            response[name] = value.clone();
        }
        response
    }

    fn usage(&self, usage: &Usage) -> Value {
        json!({
            "input_tokens": usage.n_prompt,
            "input_tokens_details": { "cached_tokens": usage.n_cached, "cache_write_tokens": 0 },
            "output_tokens": usage.n_generated,
            "output_tokens_details": { "reasoning_tokens": self.n_thoughts.min(usage.n_generated) },
            "total_tokens": usage.n_prompt + usage.n_generated,
        })
    }
}
