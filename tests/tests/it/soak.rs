//! Requests of every kind, sequential and concurrent, for any length of time: the daemon's memory must stay constant.
//! Small in every test run; `BEAST_SOAK=3000` makes it large, and `BEAST_FUZZ_SEED` repeats a run.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use beast_protocol::{Constraint, Event, FinishReason, Function, Generate, Message, Request, Role, ToolChoice, Tools};
use beast_tests::Beast;
use beast_tests::dice::{Dice, asked};
use beast_tests::http_client::{Address, Connection, JSON, post};
use beast_tests::samples::{TEXT, ask, babble, chat, chat_babble, document, streamed};
use serde_json::{Value, json};

const N_CLIENTS: u64 = 2;
/// How much the daemon's memory may grow after warming up, in bytes.
const ROOM: u64 = 5_000_000;
/// Requests for warming up, after which each kind has occurred at its largest.
const N_WARM: u64 = 100;

const KINDS: [fn(&Beast, &Address, &mut Dice); 10] = [
    a_question,
    a_conversation,
    over_http,
    over_http_in_pieces,
    embeddings,
    a_schema,
    a_grammar,
    tools,
    a_cancelled_answer,
    clients_that_leave,
];

fn n_sentences(dice: &mut Dice) -> usize {
    dice.one_of(&[1, 10, 60])
}

fn a_question(beast: &Beast, _: &Address, dice: &mut Dice) {
    let request = Generate { max_tokens: Some(40), ..ask(&document(n_sentences(dice))) };
    beast.client().ask(&request).done();
}

fn a_conversation(beast: &Beast, _: &Address, dice: &mut Dice) {
    let mut client = beast.client();
    let mut messages = vec![Message::new(Role::User, document(n_sentences(dice)))];
    for question in ["And then?", "Why is that so?"] {
        let request = Generate { messages: messages.clone(), max_tokens: Some(30), ..Generate::default() };
        let answer = client.ask(&request);
        answer.done();
        messages.extend([Message::new(Role::Assistant, answer.text), Message::new(Role::User, question)]);
    }
}

fn over_http(_: &Beast, address: &Address, dice: &mut Dice) {
    let mut body = chat(&document(n_sentences(dice)));
    body["max_tokens"] = 20.into();
    let response = post(address, "/v1/chat/completions", &body);
    assert_eq!(response.status, 200, "{response:?}");
}

fn over_http_in_pieces(_: &Beast, address: &Address, dice: &mut Dice) {
    let path = dice.one_of(&["/v1/chat/completions", "/v1/messages"]);
    let response = post(address, path, &streamed(chat_babble(30)));
    assert_eq!(response.status, 200, "{response:?}");
}

fn embeddings(_: &Beast, address: &Address, dice: &mut Dice) {
    let texts = [document(n_sentences(dice)), "a house".to_owned()];
    let response = post(address, "/v1/embeddings", &json!({ "input": texts, "model": "x" }));
    assert_eq!(response.status, 200, "{response:?}");
}

fn a_schema(beast: &Beast, _: &Address, dice: &mut Dice) {
    // Many different schemas: compiled ones are cached, and must not be cached forever.
    let schema = json!({
        "type": "object", "required": ["name", "age"], "additionalProperties": false,
        "properties": {
            "name": { "enum": ["Ada", dice.below(1 << 20)] },
            "age": { "type": "integer", "maximum": 99, "minimum": 1 },
        },
    });
    let request = Generate { constraint: Some(Constraint::Schema(schema.to_string())), ..ask("Who was first?") };
    let answer = beast.client().ask(&request);
    assert_eq!(answer.done().0, FinishReason::Stop, "{answer:?}");
    let value: Value = serde_json::from_str(&answer.text).expect("it fits the schema");
    assert!(value["age"].is_u64(), "{value}");
}

fn a_grammar(beast: &Beast, _: &Address, dice: &mut Dice) {
    let n = dice.below(1 << 20);
    let grammar = format!("root ::= word{{3}} \"{n}\"\nword ::= (\"one\" | \"two\") \" \"");
    let answer = beast.client().ask(&Generate { constraint: Some(Constraint::Grammar(grammar)), ..ask("Count.") });
    assert!(answer.text.ends_with(&n.to_string()), "{answer:?}");
}

fn tools(beast: &Beast, _: &Address, dice: &mut Dice) {
    let city = json!({ "enum": ["Bern", dice.below(1 << 20).to_string()] });
    let parameters = json!({ "type": "object", "properties": { "city": city }, "required": ["city"] });
    let function = Function {
        name: "weather".into(),
        description: "Tells the weather.".into(),
        parameters: parameters.to_string(),
    };
    let tools = Tools { functions: vec![function], choice: ToolChoice::Required, only_one: true };
    let answer = beast.client().ask(&Generate { tools, max_tokens: Some(200), ..ask("How is the weather?") });
    answer.done();
}

fn a_cancelled_answer(beast: &Beast, _: &Address, _: &mut Dice) {
    let mut client = beast.client();
    client.begin(&babble(2000));
    client.send(&Request::Cancel);
    assert_eq!(client.answer().done().0, FinishReason::Cancelled);
    assert_eq!(client.ask(&Generate { max_tokens: Some(5), ..ask(TEXT) }).events.last().map(is_end), Some(true));
}

fn is_end(event: &Event) -> bool {
    matches!(event, Event::Done { .. })
}

fn clients_that_leave(beast: &Beast, address: &Address, _: &mut Dice) {
    beast.client().begin(&babble(2000));
    let mut connection = Connection::open(address);
    connection.send("POST", "/v1/chat/completions", &[JSON], streamed(chat_babble(500)).to_string().as_bytes());
    assert_eq!(connection.head().status, 200);
    connection.block();
}

/// Sends requests from several clients up to number `until`, and waits until none is left. Returns the memory in use
/// then.
fn ask_all(beast: &Beast, address: &Address, next: &AtomicU64, until: u64, seed: u64) -> u64 {
    thread::scope(|scope| {
        for _ in 0..N_CLIENTS {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Relaxed);
                    if n >= until {
                        break;
                    }
                    let mut dice = Dice::new(seed.wrapping_mul(1 << 32).wrapping_add(n));
                    KINDS[n as usize % KINDS.len()](beast, address, &mut dice);
                }
            });
        }
    });
    next.store(until, Relaxed);
    beast.idle();
    beast.held_memory().unwrap_or(0)
}

#[test]
fn what_is_held_stays_the_same() {
    let (n_all, seed) = (asked("BEAST_SOAK", 150).max(N_WARM + 10), asked("BEAST_FUZZ_SEED", 1));
    let beast = Beast::with_http(&["max_waiting=64"]);
    beast.ready();
    let (address, next) = (beast.http(), AtomicU64::new(0));
    let n_warm = (n_all / 6).max(N_WARM);
    let warm = ask_all(&beast, &address, &next, n_warm, seed);
    let parts: Vec<u64> = (1..=10).map(|n| n_warm + (n_all - n_warm) * n / 10).collect();
    let held: Vec<u64> = parts.iter().map(|&until| ask_all(&beast, &address, &next, until, seed)).collect();
    let megabytes: Vec<u64> = held.iter().map(|n| n / 1_000_000).collect();
    println!("{n_all} requests, seed {seed}: {} bytes after {n_warm}, then MB {megabytes:?}", warm);
    let last = held.last().copied().expect("there are ten");
    assert!(last <= warm + ROOM, "{warm} bytes became {last}: {held:?}");
}
