use std::fmt::Debug;

use expect_test::expect;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

use super::*;
use crate::*;

fn requests() -> Vec<Request> {
    let generate = Generate {
        model: Some("lfm2-350m".into()),
        messages: vec![
            Message::new(Role::System, "You summarize."),
            Message::new(Role::User, "Grüße 🦀"),
            Message {
                reasoning: "hm".into(),
                tool_calls: vec![ToolCall { id: "1".into(), name: "f".into(), arguments: "{}".into() }],
                ..Message::new(Role::Assistant, String::new())
            },
            Message { tool_call_id: Some("1".into()), ..Message::new(Role::Tool, "42") },
        ],
        sampling: Sampling {
            temp: Some(0.3),
            top_p: Some(0.9),
            top_k: Some(40),
            min_p: None,
            seed: Some(7),
            repeat_penalty: Some(1.1),
            repeat_last_n: Some(32),
            frequency_penalty: Some(-0.5),
            presence_penalty: Some(0.5),
            logit_bias: vec![(3, -1.5), (4, f32::NEG_INFINITY)],
            dry_multiplier: Some(0.75),
            dry_base: Some(1.75),
            dry_allowed_length: Some(2),
            dry_penalty_last_n: Some(512),
            xtc_probability: Some(0.5),
            xtc_threshold: Some(0.125),
        },
        max_tokens: Some(64),
        soft_limit: Some(48),
        distinct: true,
        stop: vec!["\n\n".into()],
        extent: Extent::CodeBlock,
        max_thought: Some(256),
        ignore_eos: true,
        speculation: Speculation::Draft,
        constraint: Some(Constraint::Schema("{}".into())),
        overflow: Overflow::Refuse,
        resume: Some(Resume { text: "it".into(), tokens: vec![4, -1] }),
        raw: Some(RawPrompt::Tokens(vec![1, 2])),
        template: TemplateOptions { thinking: Some(true), variables: "{}".into(), continue_last: true },
        tools: Tools {
            functions: vec![Function { name: "f".into(), description: "d".into(), parameters: "{}".into() }],
            choice: ToolChoice::Named("f".into()),
            only_one: true,
        },
        logprobs: Some(3),
        priority: Priority::Background,
    };
    let (material, grammar) = (Span { start: 1, end: 300 }, Some(Constraint::Grammar("root ::= \"a\"".into())));
    let truncate = |drop| Generate { overflow: Overflow::Truncate { material, drop }, ..Generate::default() };
    let reduce = Overflow::Reduce { material, instruction: "Merge.".into() };
    vec![
        Request::Generate(generate),
        Request::Generate(truncate(Place::Head)),
        Request::Generate(truncate(Place::Middle)),
        Request::Generate(truncate(Place::Tail)),
        Request::Generate(Generate { overflow: reduce, constraint: grammar, ..Generate::default() }),
        Request::Generate(Generate::default()),
        Request::Cancel,
        Request::Status,
        Request::Load { model: Some("auto".into()) },
        Request::Load { model: None },
        Request::Use { model: "builtin".into() },
        Request::Unload { model: None },
        Request::Unload { model: Some("a".into()) },
        Request::Shutdown,
        Request::Decide(Decide {
            model: Some("b".into()),
            state: "a diff".into(),
            questions: vec![
                Question::yes_no("Is it safe?"),
                Question {
                    text: "Which?".into(),
                    kind: QuestionKind::Choice,
                    options: vec![AnswerOption { name: "a".into(), description: "the first".into() }],
                },
                Question { text: "How much?".into(), kind: QuestionKind::Score, options: Vec::new() },
            ],
            drop: Some(Place::Middle),
            is_raw: true,
        }),
        Request::KeepTemperatures(KeepTemperatures {
            model: Some("c".into()),
            temperatures: vec![(QuestionKind::YesNo, 1.5)],
            n_examples: 200,
        }),
        Request::Embed(Embed { model: Some("d".into()), texts: vec!["a".into(), "b".into()], drop_tail: true }),
        Request::CountTokens(Generate::default()),
    ]
}

fn status() -> Status {
    Status {
        version: "0.1.0".into(),
        engine: "llama.cpp".into(),
        pid: 42,
        uptime_ms: 1,
        state: State::Loading { stage: LoadStage::Weights, fraction: 0.5 },
        profile: "beast".into(),
        socket: "/run/beastd.sock".into(),
        http: vec!["127.0.0.1:8484".into()],
        configured: "auto".into(),
        model: Some(Model {
            name: "cub".into(),
            path: "/cub.gguf".into(),
            n_bytes: 16,
            n_params: 24,
            n_layers: 8,
            n_gpu_layers: 0,
            backend: "CPU".into(),
            n_ctx: 4096,
            n_ctx_train: 4096,
            has_chat_template: true,
            gpu: None,
        }),
        models: vec![ModelStatus {
            name: "cub".into(),
            path: Some("/cub.gguf".into()),
            state: ModelState::Ready,
            is_default: true,
            is_pinned: false,
            n_bytes: 17,
            n_gpu_bytes: 18,
            n_running: 1,
            n_waiting: 2,
            n_loads: 3,
            idle_ms: 4,
        }],
        upstreams: vec![UpstreamStatus { name: "team".into(), n_ctx: Some(32768), ..Default::default() }],
        memory_budget: Some(1 << 32),
        stages: vec![Stage { stage: LoadStage::Socket, us: 300 }],
        n_slots: 4,
        n_running: 1,
        n_waiting: 2,
        n_cells_used: 3,
        n_cells: 16384,
        n_batch: 1024,
        prefill_chunk: 128,
        n_threads: 2,
        n_connections: 5,
        n_requests: 6,
        n_prompt_tokens: 7,
        n_generated_tokens: 8,
        n_prefixes: 11,
        n_prefix_tokens: 12,
        n_prefix_hits: 13,
        n_tokens_saved: 14,
        n_prefix_bytes: 15,
        stored: StoredPrefixes { n_entries: 1, n_bytes: 2, n_restored: 3 },
        speculation: SpeculationStatus {
            drafters: vec!["lookup".into()],
            draft_model: Some("cub-draft".into()),
            reason: None,
            n_max: 16,
            n_drafted: 20,
            n_accepted: 17,
        },
        tuning: Tuning { origin: "defaults".into(), kv_cache: "q8_0".into(), decode_width: 4, ..Tuning::default() },
        n_preempted: 9,
        busy_us: 10,
        notices: vec![Notice { kind: NoticeKind::Info, text: "the built-in model answers".into() }],
    }
}

fn events() -> Vec<Event> {
    let usage = Usage { n_prompt: 10, n_cached: 4, n_generated: 3, n_drafted: 2, n_accepted: 1 };
    let timings = Timings { queued_us: 1, prefill_us: 2, decode_us: 3, first_token_us: 4 };
    let notice = Notice { kind: NoticeKind::Warning, text: "no template".into() };
    let part = Part {
        round: 1,
        index: 4,
        n_done: 3,
        n_parts: 12,
        span: Span { start: 9, end: 99 },
        n_tokens: 30,
        n_overlap: 2,
        is_cut: false,
        text: "so".into(),
    };
    let mut events = vec![
        Event::Queued { position: 3 },
        Event::Started { model: "cub".into(), n_prompt: 10, n_ctx: 4096, notices: vec![notice] },
        Event::Round(Round { round: 1, n_parts: 12, n_tokens: 40_000 }),
        Event::Part(part),
        Event::Progress { n_done: 5, n_total: 10 },
        Event::Piece {
            text: "so ".into(),
            tokens: vec![7, -1],
            sampled_at_us: u64::MAX,
            deltas: Vec::new(),
            logprobs: Vec::new(),
        },
        Event::Piece {
            text: "<tool_call>{".into(),
            tokens: vec![9],
            sampled_at_us: 3,
            deltas: vec![
                Delta::Reasoning("hm".into()),
                Delta::Text("Well".into()),
                Delta::Call { index: 0, id: "call_1".into(), name: "f".into() },
                Delta::Arguments { index: 0, text: "{".into() },
            ],
            logprobs: vec![TokenLogprob {
                chosen: Logprob { token: 9, bytes: vec![0xc3], logprob: -0.25 },
                top: vec![Logprob { token: 8, bytes: b"a".to_vec(), logprob: f32::NEG_INFINITY }],
            }],
        },
        Event::Status(Box::new(status())),
        Event::Embedded(Embedded {
            model: "cub".into(),
            fingerprint: Some([7; 32]),
            vectors: vec![vec![0.6, -0.8]],
            n_tokens: 3,
            truncated: vec![0],
            notices: Vec::new(),
        }),
        Event::Decided(Decided {
            model: "cub".into(),
            probabilities: vec![vec![0.75, 0.25]],
            temperatures: vec![1.5],
            usage,
            timings,
            notices: Vec::new(),
        }),
        Event::Counted(Counted { model: "cub".into(), n_prompt: 300, n_ctx: 4096, notices: Vec::new() }),
    ];
    for state in [
        State::Ready,
        State::Draining,
        State::Stalled { ms: 130_000, requests: vec![7] },
        State::Failed { message: "no file".into() },
    ] {
        events.push(Event::Status(Box::new(Status { state, model: None, ..status() })));
    }
    for stage in [
        LoadStage::ProcessStart,
        LoadStage::Socket,
        LoadStage::ModelFile,
        LoadStage::Weights,
        LoadStage::Context,
        LoadStage::WarmUp,
    ] {
        events.push(Event::Loading { stage, fraction: 0.25 });
    }
    for reason in [
        FinishReason::Stop,
        FinishReason::StopText,
        FinishReason::MaxTokens,
        FinishReason::ContextFull,
        FinishReason::Cancelled,
        FinishReason::DeadEnd,
        FinishReason::Repetition,
        FinishReason::Closed,
    ] {
        events.push(Event::Done {
            reason,
            usage,
            timings,
            stop_text: (reason == FinishReason::StopText).then(|| "\n".into()),
            dead_end: (reason == FinishReason::DeadEnd).then(|| "no token can follow".into()),
        });
    }
    for code in [
        ErrorCode::Invalid,
        ErrorCode::TooLong,
        ErrorCode::Overloaded,
        ErrorCode::ModelUnavailable,
        ErrorCode::Engine,
        ErrorCode::ShuttingDown,
        ErrorCode::Protocol,
        ErrorCode::Internal,
    ] {
        events.push(Event::Failed(WireError::new(code, "what happened; what to do")));
    }
    events
}

fn check_round_trip<M: Serialize + DeserializeOwned + PartialEq + Debug>(messages: &[M]) {
    for message in messages {
        let payload = encode(message).expect("a small message can be encoded");
        assert_eq!(&decode::<M>(&payload).expect("what was encoded can be decoded"), message);
        let mut frame = Vec::new();
        write_frame(&mut frame, &payload).expect("a vector takes any frame");
        assert_eq!(read_frame(&mut frame.as_slice()).expect("a whole frame"), Some(payload));
    }
}

#[test]
fn every_message_survives_the_round_trip() {
    check_round_trip(&requests());
    check_round_trip(&events());
}

/// When these bytes change, [`VERSION`] must be raised.
#[test]
fn the_bytes_of_a_version_do_not_drift() {
    let hex = |payload: Vec<u8>| payload.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let lines: Vec<String> = requests()
        .iter()
        .map(|request| hex(encode(request).expect("encodes")))
        .chain(events().iter().map(|event| hex(encode(event).expect("encodes"))))
        .collect();
    expect![[r#"
        version 10
        0001096c666d322d3335306d04000e596f752073756d6d6172697a652e000000010c4772c3bcc39f6520f09fa680000000020002686d0101310166027b7d0003023432000001013101010202040101027b7d010101660164027b7d03016601019a99993e016666663f012800010701cdcc8c3f012001000000bf010000003f02060000c0bf08000080ff010000403f010000e03f010201fb0002010000003f010000003e014001300101020a0a0201fb000101030101027b7d0001026974020801010301
        00000000000000000000000000000000000000000000000000000000000000000000000101fb2c0100000000
        00000000000000000000000000000000000000000000000000000000000000000000000101fb2c0101000000
        00000000000000000000000000000000000000000000000000000000000000000000000101fb2c0102000000
        0000000000000000000000000000000000000000000000000000000000000000000001000c726f6f74203a3a3d202261220201fb2c01064d657267652e000000
        000000000000000000000000000000000000000000000000000000000000000000000000000000
        01
        02
        0301046175746f
        0300
        04076275696c74696e
        0500
        05010161
        06
        0701016206612064696666030b497320697420736166653f00020379657300026e6f000657686963683f010101610974686520666972737409486f77206d7563683f0200010101
        0801016301000000c03fc8
        09010164020161016201
        0a0000000000000000000000000000000000000000000000000000000000000000000000000000
        0103
        02036375620afb001001010b6e6f2074656d706c617465
        03010cfb409c
        040104030c09631e020002736f
        05050a
        0603736f20020e01fdffffffffffffffff0000
        060c3c746f6f6c5f63616c6c3e7b011203040102686d000457656c6c02000663616c6c5f3101660300017b011201c3000080be01100161000080ff
        0905302e312e30096c6c616d612e6370702a0100030000003f056265617374102f72756e2f6265617374642e736f636b010e3132372e302e302e313a38343834046175746f0103637562092f6375622e676775661018080003435055fb0010fb00100100010363756201092f6375622e6767756601010011120102030401047465616d000001fb008000000000000001fd00000000010000000101fb2c0104010203fb0040fb00048002050607080b0c0d0e0f01020301066c6f6f6b757001096375622d6472616674001014110864656661756c747300000471385f3004090a01001a746865206275696c742d696e206d6f64656c20616e7377657273
        0b0363756201070707070707070707070707070707070707070707070707070707070707070701029a99193fcdcc4cbf03010000
        0a0363756201020000403f0000803e010000c03f0a040302010102030400
        0c03637562fb2c01fb001000
        0905302e312e30096c6c616d612e6370702a0101056265617374102f72756e2f6265617374642e736f636b010e3132372e302e302e313a38343834046175746f00010363756201092f6375622e6767756601010011120102030401047465616d000001fb008000000000000001fd00000000010000000101fb2c0104010203fb0040fb00048002050607080b0c0d0e0f01020301066c6f6f6b757001096375622d6472616674001014110864656661756c747300000471385f3004090a01001a746865206275696c742d696e206d6f64656c20616e7377657273
        0905302e312e30096c6c616d612e6370702a0103056265617374102f72756e2f6265617374642e736f636b010e3132372e302e302e313a38343834046175746f00010363756201092f6375622e6767756601010011120102030401047465616d000001fb008000000000000001fd00000000010000000101fb2c0104010203fb0040fb00048002050607080b0c0d0e0f01020301066c6f6f6b757001096375622d6472616674001014110864656661756c747300000471385f3004090a01001a746865206275696c742d696e206d6f64656c20616e7377657273
        0905302e312e30096c6c616d612e6370702a0105fcd0fb01000107056265617374102f72756e2f6265617374642e736f636b010e3132372e302e302e313a38343834046175746f00010363756201092f6375622e6767756601010011120102030401047465616d000001fb008000000000000001fd00000000010000000101fb2c0104010203fb0040fb00048002050607080b0c0d0e0f01020301066c6f6f6b757001096375622d6472616674001014110864656661756c747300000471385f3004090a01001a746865206275696c742d696e206d6f64656c20616e7377657273
        0905302e312e30096c6c616d612e6370702a0102076e6f2066696c65056265617374102f72756e2f6265617374642e736f636b010e3132372e302e302e313a38343834046175746f00010363756201092f6375622e6767756601010011120102030401047465616d000001fb008000000000000001fd00000000010000000101fb2c0104010203fb0040fb00048002050607080b0c0d0e0f01020301066c6f6f6b757001096375622d6472616674001014110864656661756c747300000471385f3004090a01001a746865206275696c742d696e206d6f64656c20616e7377657273
        00000000803e
        00010000803e
        00020000803e
        00030000803e
        00040000803e
        00050000803e
        07000a04030201010203040000
        07010a040302010102030401010a00
        07020a04030201010203040000
        07030a04030201010203040000
        07040a04030201010203040000
        07050a04030201010203040001136e6f20746f6b656e2063616e20666f6c6c6f77
        07060a04030201010203040000
        07070a04030201010203040000
        080019776861742068617070656e65643b207768617420746f20646f00
        080119776861742068617070656e65643b207768617420746f20646f00
        080219776861742068617070656e65643b207768617420746f20646f00
        080319776861742068617070656e65643b207768617420746f20646f00
        080419776861742068617070656e65643b207768617420746f20646f00
        080519776861742068617070656e65643b207768617420746f20646f00
        080619776861742068617070656e65643b207768617420746f20646f00
        080719776861742068617070656e65643b207768617420746f20646f00
    "#]].assert_eq(&format!("version {VERSION}\n{}\n", lines.join("\n")));
}

#[test]
fn a_frame_cut_at_any_byte_is_never_a_message() {
    let mut frame = Vec::new();
    append_frame(&mut frame, &encode(&requests()[0]).expect("encodes")).expect("small");
    assert_eq!(read_frame(&mut &frame[..0]).expect("an end between frames is no error"), None);
    for n in 1..frame.len() {
        let error = read_frame(&mut &frame[..n]).expect_err("half a frame");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "cut after {n} bytes");
        let mut buffer = FrameBuffer::default();
        buffer.extend(&frame[..n]);
        assert_eq!(buffer.next_frame().expect("no error yet"), None, "cut after {n} bytes");
        assert!(buffer.is_partial());
        buffer.extend(&frame[n..]);
        assert_eq!(buffer.next_frame().expect("whole now").as_deref(), Some(&frame[PREFIX_LEN..]));
        assert!(!buffer.is_partial());
    }
}

#[test]
fn a_payload_cut_at_any_byte_is_never_a_message() {
    for event in events() {
        let payload = encode(&event).expect("encodes");
        for n in 0..payload.len() {
            assert!(decode::<Event>(&payload[..n]).is_err(), "{event:?} cut after {n} bytes");
        }
    }
}

#[test]
fn one_byte_above_the_limit_is_refused_both_ways_and_the_limit_is_not() {
    let largest = vec![7; MAX_FRAME_LEN];
    let mut frame = Vec::new();
    write_frame(&mut frame, &largest).expect("the limit itself is allowed");
    assert_eq!(read_frame(&mut frame.as_slice()).expect("allowed").map(|frame| frame.len()), Some(MAX_FRAME_LEN));

    let error = write_frame(&mut Vec::new(), &vec![7; MAX_FRAME_LEN + 1]).expect_err("above the limit");
    expect!["a frame of 33554433 bytes exceeds the limit of 32 MiB"].assert_eq(&error.to_string());
    let prefix = u32::try_from(MAX_FRAME_LEN + 1).expect("fits").to_le_bytes();
    assert!(read_frame(&mut prefix.as_slice()).is_err(), "refused before a byte of the payload is there");
    let mut buffer = FrameBuffer::default();
    buffer.extend(&prefix);
    assert!(matches!(buffer.next_frame(), Err(CodecError::TooLarge { len }) if len == MAX_FRAME_LEN + 1));
}

/// Lengths inside the payload must not claim memory either.
#[test]
fn a_text_that_claims_to_be_huge_is_refused() {
    // Event::Piece (6), then a text of u64::MAX bytes.
    let mut payload = vec![6, 253];
    payload.extend(u64::MAX.to_le_bytes());
    assert!(decode::<Event>(&payload).is_err());
}

#[test]
fn several_frames_in_one_read_come_out_one_by_one() {
    let mut bytes = Vec::new();
    for request in requests() {
        append_frame(&mut bytes, &encode(&request).expect("encodes")).expect("small");
    }
    let mut buffer = FrameBuffer::default();
    buffer.extend(&bytes);
    for request in requests() {
        let payload = buffer.next_frame().expect("valid").expect("whole");
        assert_eq!(decode::<Request>(&payload).expect("decodes"), request);
    }
    assert_eq!(buffer.next_frame().expect("empty"), None);
}

proptest! {
    #[test]
    fn random_bytes_never_panic_and_never_grow(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(request) = decode::<Request>(&bytes) {
            prop_assert!(encode(&request).is_ok());
        }
        let _ = decode::<Event>(&bytes);
        let _ = Hello::from_bytes(&bytes);
        let _ = Welcome::from_bytes(&bytes);
        let mut reader = bytes.as_slice();
        while let Ok(Some(frame)) = read_frame(&mut reader) {
            prop_assert!(frame.len() <= bytes.len());
        }
    }

    #[test]
    fn frames_come_out_whole_however_they_are_cut(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8), cut in 1usize..17) {
        let mut bytes = Vec::new();
        for payload in &payloads {
            append_frame(&mut bytes, payload).expect("small");
        }
        let mut buffer = FrameBuffer::default();
        let mut frames = Vec::new();
        for chunk in bytes.chunks(cut) {
            buffer.extend(chunk);
            while let Some(frame) = buffer.next_frame().expect("valid") {
                frames.push(frame);
            }
        }
        prop_assert_eq!(frames, payloads);
    }
}

/// Any bytes from a socket, split anywhere, decode to a message or an error.
#[test]
fn any_bytes_are_messages_or_errors() {
    let mut corpus = Vec::new();
    for payload in requests().iter().map(encode).chain(events().iter().map(encode)) {
        let mut frame = Vec::new();
        append_frame(&mut frame, &payload.expect("ours")).expect("short");
        corpus.push(frame);
    }
    corpus.push(Hello::current("1").to_bytes());
    corpus.push(Welcome::current("1", 2).to_bytes());
    let corpus: Vec<&[u8]> = corpus.iter().map(Vec::as_slice).collect();
    beast_tests::fuzz::fuzz("frames", &corpus, &["\u{1}\0\0\0", "\u{fb}\u{ff}\u{ff}", "\u{fd}"], |bytes| {
        let mut frames = FrameBuffer::default();
        for piece in bytes.chunks(1 + bytes.len() / 3) {
            frames.extend(piece);
            while let Ok(Some(frame)) = frames.next_frame() {
                let _ = (decode::<Request>(&frame), decode::<Event>(&frame));
            }
        }
        let _ =
            (Hello::from_bytes(bytes), Welcome::from_bytes(bytes), decode::<Request>(bytes), decode::<Event>(bytes));
    });
}
