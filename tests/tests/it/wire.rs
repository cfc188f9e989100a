//! Bytes that our own clients never send. Each costs only its own connection; the daemon continues.

use std::io::Write;
use std::net::Shutdown;

use beast_protocol::{
    ErrorCode, Event, FinishReason, Hello, MAX_FRAME_LEN, Request, VERSION, WireError, append_frame, decode, encode,
    read_frame, write_frame,
};
use beast_tests::samples::{TEXT, ask, babble};
use beast_tests::{Beast, Client, eventually};

/// Checks that the daemon runs, has dropped the misbehaving client, and answers.
#[track_caller]
fn goes_on(beast: &Beast) {
    eventually(|| beast.status().n_connections == 1);
    beast.idle();
    assert_eq!(beast.client().ask(&ask(TEXT)).done().0, FinishReason::Stop);
}

/// The error that ends a connection.
#[track_caller]
fn refused(client: &mut Client) -> WireError {
    match client.last_words() {
        Some(Event::Failed(error)) => {
            assert_eq!(error.code, ErrorCode::Protocol);
            error
        }
        other => panic!("no refusal: {other:?}"),
    }
}

/// The daemon's answer to these bytes in place of a handshake: an error, then the end.
#[track_caller]
fn instead_of_a_greeting(beast: &Beast, bytes: &[u8]) -> WireError {
    let mut stream = Client::raw(&beast.socket()).expect("the daemon accepts");
    stream.write_all(bytes).expect("it is little");
    let frame = read_frame(&mut stream).expect("a whole frame").expect("a refusal");
    let Ok(Event::Failed(error)) = decode(&frame) else { panic!("no refusal: {frame:?}") };
    assert_eq!(read_frame(&mut stream).expect("the end"), None);
    assert_eq!(error.code, ErrorCode::Protocol);
    error
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    append_frame(&mut frame, payload).expect("it is small");
    frame
}

fn over_the_limit() -> [u8; 4] {
    u32::try_from(MAX_FRAME_LEN + 1).expect("it fits").to_le_bytes()
}

#[test]
fn a_frame_over_the_limit_is_refused_by_its_length_alone() {
    let beast = Beast::start();
    let mut client = beast.client();
    client.stream.write_all(&over_the_limit()).expect("it is little");
    let error = refused(&mut client);
    assert!(error.message.contains("33554433 bytes exceeds the limit of 32 MiB"), "{error}");
    drop(client);
    instead_of_a_greeting(&beast, &over_the_limit());
    goes_on(&beast);
}

#[test]
fn half_a_frame_and_then_nothing_more_is_forgotten() {
    let beast = Beast::start();
    let frame = framed(&encode(&Request::Generate(ask(TEXT))).expect("it is small"));
    for n in [1, 3, 4, 5, frame.len() - 1] {
        let mut client = beast.client();
        client.stream.write_all(&frame[..n]).expect("it is little");
        // The daemon may still send something, which need not be read.
        client.stream.shutdown(Shutdown::Write).expect("it is connected");
        client.last_words();
    }
    let hello = framed(&Hello::current("test").to_bytes());
    for n in 1..hello.len() {
        let mut stream = Client::raw(&beast.socket()).expect("the daemon accepts");
        stream.write_all(&hello[..n]).expect("it is little");
    }
    goes_on(&beast);
    assert_eq!(beast.status().n_requests, 1, "half a request is none");
}

#[test]
fn half_a_frame_does_not_keep_a_connection_for_ever() {
    let beast = Beast::with(&["idle_timeout=300ms"]);
    let mut client = beast.client();
    client.stream.write_all(&framed(b"a frame")[..6]).expect("it is little");
    assert_eq!(client.last_words(), None);
    goes_on(&beast);
}

#[test]
fn a_frame_that_comes_byte_by_byte_is_a_frame() {
    let beast = Beast::start();
    let mut client = beast.client();
    let bytes = framed(&encode(&Request::Generate(ask("What is a socket?"))).expect("it is small"));
    for byte in bytes {
        client.stream.write_all(&[byte]).expect("the daemon reads");
    }
    assert_eq!(client.answer().done().0, FinishReason::Stop);
}

#[test]
fn garbage_in_place_of_a_greeting_is_refused() {
    let beast = Beast::start();
    instead_of_a_greeting(&beast, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    instead_of_a_greeting(&beast, &framed(b""));
    instead_of_a_greeting(&beast, &framed(&[0xff; 100]));
    let error = instead_of_a_greeting(&beast, &framed(b"BSTX\x01\0\0\0\x050.1.0"));
    assert_eq!(error.message, "the peer does not speak the beast protocol");
    let error = instead_of_a_greeting(&beast, &framed(b"BSTH\x01\0\0\0\xff0.1.0"));
    assert_eq!(error.message, "the handshake is truncated or damaged");
    goes_on(&beast);
}

#[test]
fn garbage_in_place_of_a_request_is_refused() {
    let beast = Beast::start();
    let request = encode(&Request::Generate(ask(TEXT))).expect("it is small");
    let longer = [&request[..], b"x"].concat();
    for payload in [&b""[..], &[0xff; 64], &request[..request.len() - 1], &longer] {
        let mut client = beast.client();
        write_frame(&mut client.stream, payload).expect("it is small");
        let error = refused(&mut client);
        assert!(error.message.starts_with("protocol violation"), "{error}");
    }
    goes_on(&beast);
}

#[test]
fn garbage_in_the_middle_of_an_answer_ends_it() {
    let beast = Beast::start();
    let mut client = beast.client();
    client.begin(&babble(3900));
    write_frame(&mut client.stream, &[0xff; 64]).expect("it is small");
    refused(&mut client);
    drop(client);
    goes_on(&beast);
}

#[test]
fn another_version_hears_ours_and_nothing_more() {
    let beast = Beast::start();
    for protocol in [0, VERSION + 1, u32::MAX] {
        let hello = Hello { protocol, version: "9.9.9".into() };
        let mut client = Client::connect_as(&beast.socket(), &hello).expect("the welcome can be read");
        assert_eq!(client.welcome.protocol, VERSION);
        assert_eq!(client.welcome.pid, beast.pid());
        assert_eq!(client.last_words(), None);
    }
    goes_on(&beast);
}

#[test]
fn what_a_later_greeting_adds_to_its_end_is_ignored() {
    let beast = Beast::start();
    let mut stream = Client::raw(&beast.socket()).expect("the daemon accepts");
    let hello = [&Hello::current("test").to_bytes()[..], b"more"].concat();
    write_frame(&mut stream, &hello).expect("it is small");
    write_frame(&mut stream, &encode(&Request::Status).expect("it is small")).expect("it is small");
    read_frame(&mut stream).expect("a frame").expect("the welcome");
    let status = read_frame(&mut stream).expect("a frame").expect("the status");
    assert!(matches!(decode(&status), Ok(Event::Status(_))));
}

#[test]
fn a_second_request_while_one_runs_ends_the_connection() {
    let beast = Beast::start();
    let mut client = beast.client();
    client.begin(&babble(3900));
    client.send(&Request::Generate(ask(TEXT)));
    let error = refused(&mut client);
    assert!(error.message.contains("one request at a time"), "{error}");
    drop(client);
    goes_on(&beast);
}

#[test]
fn requests_that_make_no_sense_are_refused_and_the_connection_stays() {
    let beast = Beast::start();
    let mut client = beast.client();
    let good = ask(TEXT);
    let mut no_messages = good.clone();
    no_messages.messages.clear();
    let mut no_tokens = good.clone();
    no_tokens.max_tokens = Some(0);
    let mut empty_stop = good.clone();
    empty_stop.stop = vec![String::new()];
    let mut no_number = good.clone();
    no_number.sampling.temp = Some(f32::NAN);
    let mut too_likely = good.clone();
    too_likely.sampling.top_p = Some(1.5);
    for request in [no_messages, ask(" \n\t"), no_tokens, empty_stop, no_number, too_likely] {
        assert_eq!(client.ask(&request).error().code, ErrorCode::Invalid, "{request:?}");
    }
    assert_eq!(client.ask(&good).done().0, FinishReason::Stop);
}
