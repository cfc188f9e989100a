use beast_protocol::{Message, Role, Span};

use super::*;

fn request(text: &str, overflow: Overflow) -> Generate {
    let messages = vec![Message::new(Role::System, "Be brief."), Message::new(Role::User, text)];
    Generate { messages, overflow, max_tokens: Some(20), ..Generate::default() }
}

#[test]
fn what_fits_stays_and_an_unknown_context_has_room_for_all() {
    for context in [None, Some(101)] {
        let mut it = request("a text", Overflow::Refuse);
        assert_eq!(fit(&mut it, 100, context, "team"), Ok(None));
        assert_eq!(it, request("a text", Overflow::Refuse));
    }
}

#[test]
fn what_does_not_fit_is_refused_with_both_sizes() {
    let error = fit(&mut request("a text", Overflow::Refuse), 100, Some(100), "team").unwrap_err();
    let sizes = error.sizes.map(|sizes| (sizes.n_prompt, sizes.n_ctx));
    assert_eq!((error.code, sizes), (ErrorCode::TooLong, Some((100, 100))));
}

#[test]
fn each_part_can_be_dropped_between_characters() {
    let text = format!("Read: {}!", "äöü".repeat(200));
    let span = Span { start: 6, end: text.len() as u64 - 1 };
    for (drop, start, end) in
        [(Place::Head, "Read: ", "äöü!"), (Place::Tail, "Read: äöü", "!"), (Place::Middle, "Read: äöü", "äöü!")]
    {
        let mut it = request(&text, Overflow::Truncate { material: span, drop });
        let n_prompt = n_prompt(&it);
        let notice = fit(&mut it, n_prompt, Some(200), "team").unwrap().unwrap();
        assert!(notice.text.contains("% of the input"), "{}", notice.text);
        let content = &it.messages[1].content;
        assert!(content.starts_with(start) && content.ends_with(end), "{drop:?}: {content}");
        let n_left = super::n_prompt(&it);
        assert!((70..=180).contains(&n_left), "{n_left}");
    }
}

#[test]
fn a_question_that_is_itself_too_long_is_refused() {
    let text = "x".repeat(3000);
    let overflow = Overflow::Truncate { material: Span { start: 2990, end: 3000 }, drop: Place::Tail };
    assert!(fit(&mut request(&text, overflow), 1000, Some(200), "team").is_err());
}

#[test]
fn a_careful_estimate_is_never_too_low_for_common_texts() {
    assert_eq!(careful_estimate("the quick brown fox"), 7);
    assert_eq!(careful_estimate("3.1415\n"), 7);
    assert_eq!(careful_estimate("äöü"), 3);
    assert_eq!(careful_estimate(""), 0);
}

#[test]
fn input_that_may_be_divided_leaves_room_for_its_answer() {
    let reduce = Overflow::Reduce { material: Span { start: 0, end: 6 }, instruction: String::new() };
    let it = Generate { max_tokens: None, ..request("a text", reduce) };
    assert!(check(&it, 75, Some(100), "team").is_ok());
    assert_eq!(check(&it, 76, Some(100), "team").unwrap_err().code, ErrorCode::TooLong);
    let short = Generate { max_tokens: Some(10), ..it };
    assert!(check(&short, 90, Some(100), "team").is_ok());
}
