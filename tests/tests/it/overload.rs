//! More clients than the daemon serves, and slow clients: each costs only its own connection.

use std::io::{Read, Write};
use std::thread;

use beast_protocol::{ErrorCode, Event, FinishReason, MAX_FRAME_LEN, Request};
use beast_tests::samples::{TEXT, ask, babble};
use beast_tests::{Beast, Client, eventually, run};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// `n` clients that the daemon serves. Waits for that, since it may not have noticed yet that earlier ones are closed.
fn served(beast: &Beast, n: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    eventually(|| {
        let mut client = beast.client();
        client.send(&Request::Status);
        if let Some(Event::Status(_)) = client.event() {
            clients.push(client);
        }
        clients.len() == n
    });
    clients
}

#[test]
fn a_full_queue_is_told_and_is_exit_code_75() {
    let beast = Beast::with(&["n_slots=1", "max_waiting=1"]);
    let mut first = beast.client();
    first.begin(&babble(3900));
    let mut second = beast.client();
    second.send(&Request::Generate(ask(TEXT)));
    second.until(|event| matches!(event, Event::Queued { .. }));

    let error = beast.client().ask(&ask(TEXT)).error();
    assert_eq!(error.code, ErrorCode::Overloaded);
    let output = run(&mut beast.ctl(&["summarize"]), TEXT);
    assert_eq!(output.failure(75), format!("beastctl: {}", error.message));

    first.send(&Request::Cancel);
    assert_eq!(first.answer().done().0, FinishReason::Cancelled);
    assert_eq!(second.answer().done().0, FinishReason::Stop, "those inside are served");
    assert_eq!(run(&mut beast.ctl(&["summarize"]), TEXT).code, Some(0), "and then everybody again");
}

#[test]
fn without_a_queue_as_many_are_served_as_there_are_slots() {
    let beast = Beast::with(&["n_slots=2", "max_waiting=0"]);
    let mut clients = served(&beast, 2);
    for client in &mut clients {
        client.begin(&babble(3900));
    }
    assert_eq!(beast.client().ask(&ask(TEXT)).error().code, ErrorCode::Overloaded);
    clients.clear();
    beast.idle();
    assert_eq!(beast.client().ask(&ask(TEXT)).done().0, FinishReason::Stop);
}

#[test]
fn a_flood_of_requests_is_answered_or_refused_to_the_last() {
    let beast = Beast::with(&["max_waiting=8"]);
    beast.ready();
    let answers: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..60).map(|_| scope.spawn(|| beast.client().ask(&babble(100)))).collect();
        threads.into_iter().map(|thread| thread.join().expect("there is an end")).collect()
    });
    let n_done = answers.iter().filter(|answer| answer.end.is_ok()).count();
    assert!(n_done >= 12, "four run and eight wait, but {n_done} were served");
    for answer in answers {
        match answer.end {
            Ok((reason, usage)) => assert_eq!((reason, usage.n_generated), (FinishReason::MaxTokens, 100)),
            Err(error) => assert_eq!(error.code, ErrorCode::Overloaded),
        }
    }
    beast.idle();
}

#[test]
fn a_connection_too_many_is_told_and_is_exit_code_75() {
    let beast = Beast::with(&["max_connections=2"]);
    let mut clients = served(&beast, 2);
    let mut third = beast.client();
    match third.event() {
        Some(Event::Failed(error)) => assert_eq!(error.code, ErrorCode::Overloaded),
        other => panic!("no refusal: {other:?}"),
    }
    let output = run(&mut beast.ctl(&["summarize"]), TEXT);
    assert!(output.failure(75).contains("too many connections: all 2 are in use"), "{output}");
    let status = beast.run(&["status"]);
    assert_eq!(status.code, Some(75), "{status}");

    assert_eq!(clients[0].ask(&ask(TEXT)).done().0, FinishReason::Stop, "those inside are served");
    drop(clients);
    served(&beast, 2);
}

#[test]
fn three_hundred_connections_at_once_leave_a_daemon_that_answers() {
    // The default limit on macOS is 256 descriptors, for this process and for the daemon, which inherits it.
    let limit = getrlimit(Resource::Nofile);
    let enough = limit.maximum.map_or(4096, |maximum| maximum.min(4096));
    setrlimit(Resource::Nofile, Rlimit { current: limit.current.max(Some(enough)), ..limit })
        .expect("below the maximum");

    let beast = Beast::start();
    let mut clients: Vec<Client> = (0..300).map(|_| beast.client()).collect();
    let mut n_served = 0;
    for client in &mut clients {
        // A refused client has its answer already, and the daemon may have disconnected.
        let payload = beast_protocol::encode(&Request::Status).expect("it is small");
        let _ = beast_protocol::write_frame(&mut client.stream, &payload);
        match client.event() {
            Some(Event::Status(_)) => n_served += 1,
            Some(Event::Failed(error)) => assert_eq!(error.code, ErrorCode::Overloaded),
            other => panic!("neither served nor refused: {other:?}"),
        }
    }
    assert_eq!(n_served, 128, "as many as max_connections allows");
    drop(clients);
    eventually(|| served(&beast, 1)[0].status().n_connections == 1);
    assert_eq!(run(&mut beast.ctl(&["summarize"]), TEXT).code, Some(0));
}

#[test]
fn three_hundred_that_connect_and_leave_at_once_are_forgotten() {
    let beast = Beast::start();
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| (0..30).for_each(|_| drop(Client::raw(&beast.socket()))));
        }
    });
    eventually(|| served(&beast, 1)[0].status().n_connections == 1);
    assert_eq!(run(&mut beast.ctl(&["summarize"]), TEXT).code, Some(0));
}

#[test]
fn a_client_that_says_nothing_is_sent_away_and_holds_nobody_up() {
    let beast = Beast::with(&["handshake_timeout=1s", "max_connections=2"]);
    // Takes one of two connections; the other one suffices for everything else.
    let mut silent = Client::raw(&beast.socket()).expect("the daemon accepts");
    eventually(|| run(&mut beast.ctl(&["summarize"]), TEXT).code == Some(0));

    let mut said = Vec::new();
    silent.read_to_end(&mut said).expect("the daemon hangs up");
    assert!(String::from_utf8_lossy(&said).contains("no handshake within 1s"), "{said:?}");
    drop(silent);
    served(&beast, 2);
}

#[test]
fn a_connection_that_is_idle_for_long_is_closed() {
    let beast = Beast::with(&["idle_timeout=100ms"]);
    let mut client = beast.client();
    assert_eq!(client.last_words(), None);
    let mut client = beast.client();
    assert_eq!(client.ask(&babble(200)).done().0, FinishReason::MaxTokens, "an answer is not idleness");
    assert_eq!(client.last_words(), None);
}

#[test]
fn a_reader_that_pauses_loses_nothing() {
    // Without a cached prefix, the second answer is computed exactly like the first: at this temperature, rounding
    // decides which word comes.
    let beast = Beast::with(&["n_prefixes=0"]);
    let whole = beast.client().ask(&babble(1200));
    // Far more than the socket buffers: most of it has to wait in the daemon.
    let mut paused = beast.client();
    paused.send(&Request::Generate(babble(1200)));
    eventually(|| beast.status().n_generated_tokens == 2400);
    beast.idle();
    let answer = paused.answer();
    assert_eq!(answer.done(), whole.done());
    assert!(answer.text == whole.text, "{} and {} bytes", answer.text.len(), whole.text.len());
}

#[test]
fn a_reader_that_pauses_stops_nobody() {
    let beast = Beast::start();
    let mut paused = beast.client();
    paused.send(&Request::Generate(babble(1200)));
    eventually(|| beast.status().n_running == 1);
    for _ in 0..3 {
        run(&mut beast.ctl(&["summarize"]), TEXT).answer();
    }
    beast.idle();
    run(&mut beast.ctl(&["summarize"]), TEXT).answer();
    let (reason, usage) = paused.answer().done();
    assert_eq!((reason, usage.n_generated), (FinishReason::MaxTokens, 1200));
}

#[test]
fn a_reader_that_never_comes_back_is_given_up() {
    let beast = Beast::with(&["stall_timeout=200ms"]);
    let mut stalled = beast.client();
    stalled.send(&Request::Generate(babble(3900)));
    eventually(|| beast.status().n_running == 1);
    eventually(|| {
        let status = beast.status();
        (status.n_connections, status.n_running) == (1, 0)
    });
    assert!(beast.status().n_generated_tokens < 3900, "the rest is not made for nobody");
    let mut n_events = 0;
    while let Ok(Some(_)) = beast_protocol::read_frame(&mut stalled.stream) {
        n_events += 1;
    }
    assert!((1..3900).contains(&n_events), "{n_events}");
}

/// Each client announces the largest possible frame, and never sends its last byte: only as many are read as the
/// budget allows.
#[test]
fn those_who_announce_large_requests_share_one_budget() {
    const N_CLIENTS: usize = 40;
    const ROOM: usize = 256 << 20;
    let beast = Beast::with(&["max_connections=64"]);
    beast.ready();
    let prefix = u32::try_from(MAX_FRAME_LEN).expect("it fits").to_le_bytes();
    let mut senders: Vec<(Client, usize)> = (0..N_CLIENTS).map(|_| (beast.client(), MAX_FRAME_LEN - 1)).collect();
    for (client, _) in &mut senders {
        client.stream.write_all(&prefix).expect("it is little");
        client.stream.set_nonblocking(true).expect("a socket");
    }
    let zeros = vec![0; 1 << 20];
    let mut send_round = || -> usize {
        let mut n_sent = 0;
        for (client, n_left) in &mut senders {
            while let Ok(n) = client.stream.write(&zeros[..zeros.len().min(*n_left)])
                && n > 0
            {
                *n_left -= n;
                n_sent += n;
            }
        }
        n_sent
    };
    let mut n_sent = 0;
    eventually(|| {
        n_sent += send_round();
        n_sent >= ROOM - N_CLIENTS
    });
    // Other clients are served.
    for _ in 0..20 {
        n_sent += send_round();
        beast.status();
    }
    assert_eq!(beast.client().ask(&ask(TEXT)).done().0, FinishReason::Stop);
    let in_sockets = N_CLIENTS * (1 << 20);
    assert!(n_sent <= ROOM + in_sockets, "{n_sent} bytes were taken");
}
