//! A request as the body of `/chat/completions`. Pure.

use beast_protocol::{
    Constraint, ErrorCode, Function, Generate, Message, RawPrompt, Role, Sampling, ToolCall, ToolChoice, WireError,
};
use serde_json::{Map, Value, json};

/// Makes the body of a request for a stream.
///
/// # Errors
/// [`ErrorCode::Invalid`] for what this interface cannot express: nothing is left out silently.
pub(super) fn body(request: &Generate, model: &str) -> Result<Value, WireError> {
    check(request)?;
    let mut body = json!({
        "model": model,
        "messages": request.messages.iter().map(message).collect::<Vec<_>>(),
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    let fields = body.as_object_mut().expect("it is an object");
    sample(fields, &request.sampling);
    if let Some(n) = request.max_tokens {
        fields.insert("max_tokens".into(), n.into());
    }
    if !request.stop.is_empty() {
        fields.insert("stop".into(), json!(request.stop));
    }
    if let Some(Constraint::Schema(schema)) = &request.constraint {
        let schema: Value = serde_json::from_str(schema)
            .map_err(|error| refused(&format!("invalid JSON schema: {error}; try: fix the schema")))?;
        let format = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}});
        fields.insert("response_format".into(), format);
    }
    if request.ignore_eos {
        fields.insert("ignore_eos".into(), true.into());
    }
    if !request.tools.functions.is_empty() {
        add_tools(fields, request)?;
    }
    let variables = variables(request)?;
    if !variables.is_empty() {
        fields.insert("chat_template_kwargs".into(), Value::Object(variables));
    }
    Ok(body)
}

fn refused(text: &str) -> WireError {
    WireError::new(ErrorCode::Invalid, text)
}

fn check(request: &Generate) -> Result<(), WireError> {
    let raw = match &request.raw {
        Some(RawPrompt::Text(_) | RawPrompt::Tokens(_)) => Some("a raw prompt"),
        None => None,
    };
    let is_grammar = matches!(request.constraint, Some(Constraint::Grammar(_)));
    let found = [
        raw,
        is_grammar.then_some("a grammar"),
        request.logprobs.map(|_| "log-probabilities"),
        request.max_thought.map(|_| "a limit for thoughts"),
        (!request.sampling.logit_bias.is_empty()).then_some("biases of tokens"),
        request.template.continue_last.then_some("the beginning of an answer"),
    ];
    if let Some(what) = found.into_iter().flatten().next() {
        let text = format!("an upstream model cannot take {what}; try: leave it out, or use a local model");
        return Err(refused(&text));
    }
    if request.resume.is_some() {
        return Err(refused("an upstream model cannot resume an answer; try: repeat the command"));
    }
    Ok(())
}

fn message(message: &Message) -> Value {
    let mut object = json!({"role": message.role.as_str(), "content": message.content});
    if message.role == Role::Assistant && !message.tool_calls.is_empty() {
        object["tool_calls"] = message.tool_calls.iter().map(call).collect();
    }
    if let Some(id) = &message.tool_call_id {
        object["tool_call_id"] = id.clone().into();
    }
    object
}

fn call(ToolCall { id, name, arguments }: &ToolCall) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// Only what the request sets: servers have defaults of their own, and some refuse what they do not know.
fn sample(fields: &mut Map<String, Value>, sampling: &Sampling) {
    let Sampling { temp, top_p, top_k, min_p, seed, repeat_penalty, .. } = sampling;
    let numbers = [
        ("temperature", *temp),
        ("top_p", *top_p),
        ("min_p", *min_p),
        ("frequency_penalty", sampling.frequency_penalty),
        ("presence_penalty", sampling.presence_penalty),
        // One is vLLM's name, the other llama-server's.
        ("repetition_penalty", *repeat_penalty),
        ("repeat_penalty", *repeat_penalty),
        ("dry_multiplier", sampling.dry_multiplier),
        ("dry_base", sampling.dry_base),
        ("xtc_probability", sampling.xtc_probability),
        ("xtc_threshold", sampling.xtc_threshold),
    ];
    let counts = [
        ("top_k", *top_k),
        ("seed", *seed),
        ("repeat_last_n", sampling.repeat_last_n),
        ("dry_allowed_length", sampling.dry_allowed_length),
        ("dry_penalty_last_n", sampling.dry_penalty_last_n),
    ];
    // As decimal text, because a float has meaningless digits as a double.
    let decimal = |number: f32| number.to_string().parse::<f64>().unwrap_or_else(|_| f64::from(number));
    let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name, json!(decimal(number?)))));
    let counts = counts.into_iter().filter_map(|(name, n)| Some((name, json!(n?))));
    fields.extend(numbers.chain(counts).map(|(name, value)| (name.to_owned(), value)));
}

fn add_tools(fields: &mut Map<String, Value>, request: &Generate) -> Result<(), WireError> {
    let tools = request.tools.functions.iter().map(tool).collect::<Result<Vec<_>, _>>()?;
    let choice = match &request.tools.choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    };
    fields.extend([("tools".to_owned(), tools.into()), ("tool_choice".to_owned(), choice)]);
    if request.tools.only_one {
        fields.insert("parallel_tool_calls".into(), false.into());
    }
    Ok(())
}

fn tool(Function { name, description, parameters }: &Function) -> Result<Value, WireError> {
    let mut function = json!({"name": name});
    if !description.is_empty() {
        function["description"] = description.clone().into();
    }
    if !parameters.is_empty() {
        function["parameters"] = serde_json::from_str(parameters)
            .map_err(|error| refused(&format!("invalid parameters of {name}: {error}; try: fix the JSON schema")))?;
    }
    Ok(json!({"type": "function", "function": function}))
}

/// Variables of the chat template.
fn variables(request: &Generate) -> Result<Map<String, Value>, WireError> {
    let mut variables = Map::new();
    if let Some(thinking) = request.template.thinking {
        variables.insert("enable_thinking".into(), thinking.into());
    }
    if !request.template.variables.is_empty() {
        let more: Map<String, Value> = serde_json::from_str(&request.template.variables)
            .map_err(|error| refused(&format!("invalid template variables: {error}; try: pass a JSON object")))?;
        variables.extend(more);
    }
    Ok(variables)
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
