use super::*;

const STREAM: &str = ": hello\n\ndata: {\"a\":\ndata: \"ä\"}\n\nevent: x\r\nid: 1\r\ndata:b\r\n\r\ndata: [DONE]\n\n";

#[test]
fn events_do_not_depend_on_how_their_bytes_arrive() {
    let expected = ["{\"a\":\n\"ä\"}", "b", "[DONE]"];
    for n in 1..STREAM.len() {
        let mut events = Events::default();
        let found: Vec<String> =
            STREAM.as_bytes().chunks(n).flat_map(|bytes| events.push(bytes)).collect::<Result<_, _>>().unwrap();
        assert_eq!(found, expected, "{n}");
        assert_eq!(events.end(), Ok(None));
    }
}

#[test]
fn the_last_line_may_lack_its_end() {
    let mut events = Events::default();
    assert_eq!(events.push(b"data: a\n\ndata: [DONE]"), [Ok("a".to_owned())]);
    assert_eq!(events.end(), Ok(Some("[DONE]".into())));
}

#[test]
fn half_a_character_is_an_error_wherever_it_is() {
    let pushed = Events::default().push(b"data: a\n\ndata: \xc3\n\n");
    assert_eq!(pushed, [Ok("a".to_owned()), Err(BadStream::NotUtf8)], "what came before it counts");
    let mut events = Events::default();
    assert_eq!(events.push(b"data: a\xc3"), [], "the other half may come");
    assert_eq!(events.end(), Err(BadStream::NotUtf8));
}

#[test]
fn an_event_without_an_end_is_refused() {
    let mut events = Events::default();
    let pushed = (0..100).find_map(|_| events.push(&[b'x'; 100_000]).pop());
    assert_eq!(pushed, Some(Err(BadStream::TooLong)));
    let mut events = Events::default();
    let line = [b"data: ".as_slice(), &[b'x'; 100_000], b"\n"].concat();
    assert_eq!((0..100).find_map(|_| events.push(&line).pop()), Some(Err(BadStream::TooLong)));
}
