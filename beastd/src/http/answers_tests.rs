use super::*;

/// The sender that feeds [`answers`].
pub(crate) struct Said(mpsc::Sender<super::Said>);

/// One accepted answer, whose events a test sends.
pub(crate) fn answers() -> (Said, Answers) {
    let (said, events) = mpsc::channel(MAX_WAITING);
    (Said(said), Answers { events, first: VecDeque::new(), n_open: 1 })
}

impl Said {
    pub(crate) async fn event(&self, event: Event) {
        // Fails if the answers have been dropped.
        let _ = self.0.send(super::Said::Event(0, event)).await;
    }

    pub(crate) async fn piece(&self, text: &str) {
        let text = text.to_owned();
        self.event(Event::Piece { text, tokens: vec![], sampled_at_us: 0, deltas: vec![], logprobs: vec![] }).await;
    }

    pub(crate) async fn done(&self) {
        let (usage, timings) = (Usage::default(), Timings::default());
        self.event(Event::Done { reason: FinishReason::Stop, usage, timings, stop_text: None, dead_end: None }).await;
    }

    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

#[tokio::test]
async fn a_collected_answer_is_all_that_was_said() {
    let (said, answers) = answers();
    said.piece("hel").await;
    said.piece("lo").await;
    said.done().await;
    let collected = answers.collect(1).await.expect("it has not failed");
    assert_eq!((collected[0].text.as_str(), collected[0].reason), ("hello", Some(FinishReason::Stop)));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let (said, answers) = answers();
    said.piece("hel").await;
    drop(said);
    assert_eq!(answers.collect(1).await.expect_err("its end is missing").code, ErrorCode::Engine);
}

#[test]
fn a_piece_that_is_held_back_says_nothing() {
    assert_eq!(deltas_of("<tool".into(), vec![Delta::Text(String::new())]), []);
    assert_eq!(deltas_of("a".into(), Vec::new()), [Delta::Text("a".into())]);
    assert_eq!(deltas_of(String::new(), Vec::new()), []);
}

#[test]
fn a_negative_zero_is_the_integer_that_its_schema_wants() {
    let call = |text: &str| ToolCall { id: "1".into(), name: "f".into(), arguments: text.into() };
    let written = |text| Value::Object(arguments(&call(text))).to_string();
    assert_eq!(
        written(r#"{"a": -0, "b": [-0, {"c": -0, "d": "-0"}], "e": -1.5}"#),
        r#"{"a":0,"b":[0,{"c":0,"d":"-0"}],"e":-1.5}"#
    );
    assert_eq!(written(r#"{"a": "cut at the lim"#), "{}");
}
