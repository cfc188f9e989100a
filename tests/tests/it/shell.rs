//! Everyday use with the real programs and the real model: continue a conversation, commit, use a prompt of one's own.

use beast_tests::samples::{TEXT, subject};
use beast_tests::{Beast, Home, Output, run};
use serde_json::Value;

#[track_caller]
fn shell(home: &Home, line: &str) -> Output {
    run(&mut home.shell(line), "")
}

#[track_caller]
fn json(output: &Output) -> Value {
    serde_json::from_str(output.answer()).expect("one object")
}

#[test]
fn a_conversation_goes_on_where_the_daemon_has_read_it_already() {
    let beast = Beast::start();
    beast.ready();
    let first = json(&beast.run(&["ask", "--json", "What is git?"]));
    let second = json(&beast.run(&["ask", "-c", "--json", "And what is a commit?"]));
    // The whole first exchange except the last token of its answer, which was sampled but never computed.
    let n_known = first["usage"]["n_prompt"].as_u64().unwrap() + first["usage"]["n_generated"].as_u64().unwrap();
    let n_cached = second["usage"]["n_cached"].as_u64().unwrap();
    assert!(n_cached + 2 >= n_known, "{n_cached} of {n_known}");
    assert_eq!(beast.run(&["history", "show"]).answer().matches("> ").count(), 2);
}

/// git runs the hook, the daemon answers, and the editor opens with the message.
#[test]
fn git_commits_with_the_message_of_the_model() {
    let beast = Beast::start();
    beast.ready();
    let diff = "def load(path):\n    return open(path).read()\n\ndef read_all(path):\n    value_0 = read(path, 0)\n    return value_0\n";
    beast.write("src/config.py", "def load(path):\n    return open(path).read()\n");
    let output = shell(
        &beast,
        "export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_EDITOR='test -s'
         git init -q . && git add src && git commit -qm 'Begin' && beastctl hook install",
    );
    assert_eq!(output.code, Some(0), "{output}");
    beast.write("src/config.py", diff);
    let output = shell(
        &beast,
        "export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_EDITOR='test -s'
         git commit -qa; git log --format=%s",
    );
    assert_eq!(output.stdout, format!("{}\nBegin\n", subject("read_all")), "{output}");
}

#[test]
fn a_prompt_of_ones_own_is_a_command() {
    let beast = Beast::start();
    beast.write("text", TEXT);
    beast.write(
        "config/beast/prompts/about.md",
        "---\ndescription: What it is about\nvariables: {n: 8}\nschema: {type: object, properties: {about: {type: string, \
         maxLength: 20}}, required: [about], additionalProperties: false}\n---\nSay in at most {{n}} words what the text is about.\n",
    );
    let answer = json(&shell(&beast, "beastctl about -p n=3 text"));
    assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["about"]);
    assert!(shell(&beast, "beastctl prompts").answer().contains("about"), "it is listed");
}

#[test]
fn words_are_the_text_and_a_prompt_that_is_not_written_is_not_run() {
    let beast = Beast::start();
    beast.ready();
    let answer = json(&shell(&beast, "beastctl fix -q --json --max-tokens 8 'wat is this' </dev/null"));
    let piped = json(&shell(&beast, "printf 'wat is this' | beastctl fix -q --json --max-tokens 8"));
    assert_eq!(answer["usage"]["n_prompt"], piped["usage"]["n_prompt"], "{answer}");
    let output = shell(&beast, "beastctl prompts new haiku >/dev/null && echo rain | beastctl haiku");
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("try: beastctl prompts edit haiku"), "{output}");
}
