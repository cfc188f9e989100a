//! Templates in common use must render as Python's Jinja renders them (`tests/templates/reference.py`).

use std::io::{BufRead, BufReader};
use std::{env, fs};

use beast_protocol::ToolCall;
use serde::Deserialize;

use super::*;

/// Path of the file with the cases; the results go to a file of the same name with `.results` appended.
const CASES: &str = "BEAST_TEMPLATE_CASES";

#[derive(Deserialize)]
struct Case {
    template: String,
    case: String,
    source: String,
    rendered: Map<String, Json>,
    refused: Map<String, Json>,
}

/// A template whose text differs on purpose: in Python, `safe` plus a text escapes the text for HTML, against its
/// meaning.
const KNOWN: &str = "meetkai-functionary-medium-v3.1";

/// Writes a line per case: `ok` for the same text, `FAIL` for another or none, `skip` where Python's Jinja rejects
/// the input.
#[test]
fn every_template_renders_as_jinja_does() {
    let Some(path) = env::var_os(CASES) else {
        return beast_tests::skip("no cases; try: .ci/test-dialects --suite templates");
    };
    let file = BufReader::new(fs::File::open(&path).expect("the file with the cases"));
    let mut results = Vec::new();
    for line in file.lines() {
        let case: Case = serde_json::from_str(&line.expect("a line")).expect("a case");
        judge(&case, &mut results);
    }
    let mut beside = path;
    beside.push(".results");
    fs::write(beside, results.join("\n")).expect("to write the results");
    let failures: Vec<&str> = results.iter().map(String::as_str).filter(|line| line.starts_with("FAIL")).collect();
    assert!(failures.len() < results.len(), "no case was equal");
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

fn judge(case: &Case, results: &mut Vec<String>) {
    let name = format!("{}::{}", case.template, case.case);
    results.extend(case.refused.keys().map(|form| format!("skip {name}/{form}")));
    let mut line = |name: &str, verdict: Result<(), String>| {
        results.push(match verdict {
            Ok(()) => format!("ok {name}"),
            Err(_) if case.template == KNOWN => format!("known {name}"),
            Err(why) => format!("FAIL {name}: {why}"),
        });
    };
    let jinja = match Jinja::with_time(&case.source, |format| {
        clock::strftime(
            format,
            &jiff::civil::datetime(2026, 3, 5, 14, 7, 9, 0).to_zoned(jiff::tz::TimeZone::UTC).expect("a time"),
        )
    }) {
        Ok(jinja) => jinja,
        Err(error) => return line(&name, Err(error.to_string())),
    };
    for (form, reference) in &case.rendered {
        line(&format!("{name}/{form}"), same(jinja.render(&reference["context"]), &reference["text"]));
    }
    // The same from our own messages, if the template uses a call format that the parser reads.
    let mut template = match ChatTemplate::new(&case.source, "<bos>".into(), "<eos>".into(), &[]) {
        Ok(template) => template,
        Err(error) => return line(&format!("{name}/messages"), Err(error.to_string())),
    };
    template.jinja = jinja;
    if case.case == "turns_alone" {
        let turns = [Message::new(Role::User, "Hello"), Message::new(Role::Assistant, "Hi.")];
        let mut long: Vec<Message> = turns.into_iter().cycle().take(2000).collect();
        long.push(Message::new(Role::User, "Bye"));
        let text = template.render(&long, &Setting::default()).map_err(|error| error.to_string());
        line(&format!("{name}/long"), text.map(drop));
    }
    let Some(reference) = ["whole", "text", "undefined", "functions"].iter().find_map(|form| case.rendered.get(*form))
    else {
        return;
    };
    let context = &reference["context"];
    let messages = messages(context);
    let has_tools = !context["tools"].is_null() || messages.iter().any(|message| !message.tool_calls.is_empty());
    if has_tools && !(template.dialect.is_native && template.dialect.writes_calls) {
        return;
    }
    let tools = context["tools"].as_array().cloned().unwrap_or_default();
    let kept = ["date_string", "datetime", "add_generation_prompt"];
    let entries = context.as_object().expect("an object").iter().filter(|(key, _)| kept.contains(&key.as_str()));
    let variables = entries.map(|(key, value)| (key.clone(), value.clone())).collect();
    let thinking = context["enable_thinking"].as_bool();
    let setting = Setting { tools, thinking, variables, continue_last: false };
    line(&format!("{name}/messages"), same(template.render(&messages, &setting), &reference["text"]));
}

fn same(ours: Result<String, TemplateError>, reference: &Json) -> Result<(), String> {
    let reference = reference.as_str().expect("a text");
    let ours = ours.map_err(|error| error.to_string())?;
    if ours == reference {
        return Ok(());
    }
    let n_same = ours.chars().zip(reference.chars()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| text.chars().skip(n_same.saturating_sub(20)).take(60).collect::<String>();
    Err(format!("{:?} instead of {:?}", around(&ours), around(reference)))
}

fn messages(context: &Json) -> Vec<Message> {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let message = |turn: &Json| {
        let role = match turn["role"].as_str() {
            Some("system") => Role::System,
            Some("assistant") => Role::Assistant,
            Some("tool") => Role::Tool,
            _ => Role::User,
        };
        let calls = turn["tool_calls"].as_array().into_iter().flatten().map(|call| ToolCall {
            id: text(&call["id"]),
            name: text(&call["function"]["name"]),
            arguments: match &call["function"]["arguments"] {
                Json::String(arguments) => arguments.clone(),
                arguments => arguments.to_string(),
            },
        });
        Message {
            tool_calls: calls.collect(),
            reasoning: text(&turn["reasoning_content"]),
            tool_call_id: turn["tool_call_id"].as_str().map(str::to_owned),
            ..Message::new(role, text(&turn["content"]))
        }
    };
    context["messages"].as_array().expect("messages").iter().map(message).collect()
}
