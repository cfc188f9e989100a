use beast_protocol::{AnswerOption, Place};

use super::*;
use crate::batch::Token;
use crate::engine::fake::{ByteVocab, FakeEngine};
use crate::metrics::Metrics;
use crate::sampling::SamplingDefaults;
use crate::scheduler::Limits;
use crate::speculation::Wish;
use crate::worker::fixture;

const N_CTX: usize = 512;
const DEFAULTS: SamplingDefaults =
    SamplingDefaults { temp: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repeat_penalty: 1.0, ..SamplingDefaults::OURS };

struct Fixture {
    means: Means,
    metrics: Arc<Metrics>,
    thread: fixture::Thread,
}

fn start(n_slots: usize, n_prefixes: usize) -> Fixture {
    let limits = Limits {
        n_slots,
        n_prefixes,
        n_cells: 4096,
        n_batch: 512,
        prefill_chunk: 256,
        lone_chunk: 256,
        n_waiting: 2,
        decode_width: n_slots,
        n_prefix_cells: 2048,
        n_background_cells: usize::MAX,
        is_adjacent: false,
        is_parallel: false,
    };
    let (worker, metrics, thread) = fixture::start(FakeEngine::default(), Wish::OFF, limits, N_CTX);
    let admission = Arc::new(Admission::new(Arc::new(ByteVocab), None, DEFAULTS, N_CTX, 20));
    let means = Means { admission, worker, tokenizing: Arc::new(Semaphore::new(2)), n_slots, model: "fake".into() };
    Fixture { means, metrics, thread }
}

impl Fixture {
    async fn decide(&self, request: Decide) -> Result<Decided, WireError> {
        let (events, _said) = mpsc::channel(64);
        decide(&self.means, request, |_| 1.0, &events).await
    }

    async fn stop(self) {
        self.means.worker.stop().await;
        self.thread.join().expect("no panic").expect("no error");
    }
}

fn choice(names: &[&str]) -> Question {
    let options = names.iter().map(|&name| AnswerOption::new(name)).collect();
    Question { text: "Which?".into(), kind: QuestionKind::Choice, options }
}

fn questions(n: usize) -> Vec<Question> {
    (0..n).map(|nth| Question::yes_no(format!("Is it {nth}?"))).collect()
}

fn about(questions: Vec<Question>) -> Decide {
    Decide { state: "some words that all questions are about, again and again".into(), questions, ..Decide::default() }
}

#[tokio::test]
async fn answers_are_the_same_alone_and_beside_others_with_and_without_a_prefix() {
    let all = [questions(5), vec![choice(&["ant", "bee", "cow"]), choice(&["a1", "a2"])]].concat();
    let mut outcomes = Vec::new();
    for (n_slots, n_prefixes) in [(4, 4), (1, 0), (3, 1)] {
        let fixture = start(n_slots, n_prefixes);
        let together = fixture.decide(about(all.clone())).await.expect("answered").probabilities;
        for (question, expected) in all.iter().zip(&together) {
            let alone = fixture.decide(about(vec![question.clone()])).await.expect("answered");
            assert_eq!(&alone.probabilities[0], expected, "{question:?}");
        }
        outcomes.push(together);
        fixture.stop().await;
    }
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
    for probabilities in &outcomes[0] {
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{probabilities:?}");
    }
}

#[tokio::test]
async fn the_text_is_computed_once_for_all_questions_and_nothing_is_generated_for_anybody() {
    let fixture = start(4, 4);
    let decided = fixture.decide(about(questions(5))).await.expect("answered");
    let n_computed = fixture.metrics.n_prompt_tokens.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(n_computed, u64::from(decided.usage.n_prompt - decided.usage.n_cached));
    let n_head = 9 * about(Vec::new()).state.len() as u32;
    assert!(decided.usage.n_cached >= n_head, "{:?} of {n_head}", decided.usage);
    assert_eq!(decided.usage.n_generated, 0);
    fixture.stop().await;
}

#[tokio::test]
async fn a_temperature_is_used_unless_the_request_wants_none() {
    let fixture = start(2, 2);
    let (events, _said) = mpsc::channel(64);
    let cooled = decide(&fixture.means, about(questions(1)), |_| 4.0, &events).await.expect("answered");
    let raw = Decide { is_raw: true, ..about(questions(1)) };
    let raw = decide(&fixture.means, raw, |_| 4.0, &events).await.expect("answered");
    assert_eq!((&cooled.temperatures[..], &raw.temperatures[..]), (&[4.0][..], &[1.0][..]));
    let distance = |decided: &Decided| (decided.probabilities[0][0] - 0.5).abs();
    assert!(distance(&cooled) < distance(&raw), "{cooled:?} {raw:?}");
    fixture.stop().await;
}

#[tokio::test]
async fn more_questions_than_the_queue_holds_are_answered_all_the_same() {
    let fixture = start(1, 2);
    let decided = fixture.decide(about(questions(MAX_QUESTIONS))).await.expect("answered");
    assert_eq!(decided.probabilities.len(), MAX_QUESTIONS);
    fixture.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anything_is_computed() {
    let fixture = start(1, 1);
    let named = |kind, names: &[&str]| Question { kind, ..choice(names) };
    let many: Vec<String> = (0..1000).map(|n| format!("option {n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (bad, why) in [
        (Vec::new(), "no question"),
        (questions(MAX_QUESTIONS + 1), "at most 64"),
        (vec![Question::yes_no(" \n")], "is empty"),
        (vec![named(QuestionKind::YesNo, &["yes"])], "yes or no needs 2"),
        (vec![choice(&[])], "no options"),
        (vec![choice(&["a", ""])], "without a name"),
        (vec![choice(&["a", "b", "a "])], "same name"),
        (vec![choice(&many)], "at most 26"),
        (vec![named(QuestionKind::Score, &["1"])], "too few levels"),
        (vec![Question::yes_no("?".repeat(MAX_QUESTION_LEN + 1))], "longer than 64 KiB"),
    ] {
        let error = fixture.decide(about(bad)).await.expect_err(why);
        assert!(error.code == ErrorCode::Invalid && error.message.contains(why), "{why}: {error}");
    }
    let long = Decide { state: "word ".repeat(1000), ..about(questions(1)) };
    assert_eq!(fixture.decide(long.clone()).await.expect_err("long").code, ErrorCode::TooLong);
    let shortened = fixture.decide(Decide { drop: Some(Place::Middle), ..long }).await.expect("shortened");
    assert_eq!(shortened.notices.len(), 1);
    let nul = fixture.decide(about(vec![choice(&["a\0", "b"])])).await.expect("a NUL is a letter like others");
    assert_eq!(nul.probabilities[0].len(), 2);
    fixture.stop().await;
}

#[tokio::test]
async fn nothing_of_it_is_kept_when_the_future_is_dropped() {
    let fixture = start(1, 1);
    {
        let deciding = fixture.decide(about(questions(MAX_QUESTIONS)));
        tokio::pin!(deciding);
        let _ = futures_poll_once(deciding.as_mut()).await;
    }
    let decided = fixture.decide(about(questions(1))).await.expect("the worker is free");
    assert_eq!(decided.probabilities.len(), 1);
    fixture.stop().await;
}

/// Polls a future once, which starts it.
async fn futures_poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    std::future::poll_fn(|context| match std::pin::Pin::new(&mut future).poll(context) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

#[test]
fn options_that_begin_alike_get_labels() {
    let vocab = ByteVocab;
    let in_words = told_apart(&choice(&["ant", "bee"]), &vocab, 0).expect("they differ");
    assert!(in_words[0].0.tail.ends_with("ant or bee?"), "{in_words:?}");
    let with_labels = told_apart(&choice(&["a1", "a2"]), &vocab, 0).expect("labels differ");
    assert!(with_labels[0].0.tail.ends_with("A. a1\nB. a2\nA or B?"), "{with_labels:?}");
    assert_eq!(with_labels[0].1, [vec![Token(65)], vec![Token(66)]]);
}

#[test]
fn without_numbers_there_is_no_answer() {
    let scored = |logprobs: &[(i32, f32)]| Scored {
        logprobs: logprobs.iter().map(|&(token, logprob)| (Token(token), logprob)).collect(),
        ..Scored::default()
    };
    let options = [vec![Token(1)], vec![Token(2)]];
    assert_eq!(scored(&[(1, -1.0), (2, -2.0)]).of(&options), Some(vec![vec![-1.0], vec![-2.0]]));
    for missing in [&[][..], &[(1, -1.0)], &[(1, -1.0), (2, f32::NAN)]] {
        assert_eq!(scored(missing).of(&options), None, "{missing:?}");
    }
}
