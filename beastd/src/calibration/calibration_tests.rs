use super::*;

fn calibration() -> Calibration {
    let cost = |n_tokens, ms| Cost { n_tokens, ms };
    Calibration {
        version: VERSION,
        measured_at: "2026-11-23T04:00:00Z".into(),
        engine: "engine 1".into(),
        machine: machine(None),
        model: Model { name: "m".into(), fingerprint: fingerprint::hex(&[7; 32]), n_bytes: 1 },
        chosen: Chosen { n_threads: 2, repack: false, prefill_chunk: 128, lone_chunk: 128, decode_width: 4 },
        variants: vec![Variant { repack: false, n_threads: 2, prefill_tps: 100.0, decode_tps: 20.0 }],
        prefill: vec![cost(64, 800.0), cost(128, 1400.0)],
        verify: vec![cost(1, 50.0)],
        decode: vec![SeqCost { n_seqs: 1, ms: 50.0 }],
    }
}

#[test]
fn it_is_kept_beside_the_model_and_used_only_where_it_was_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("model.gguf");
    assert_eq!(find(&model, &[7; 32], "engine 1", None), Found::Nothing);
    let path = write(&calibration(), &model).expect("writable");
    assert_eq!(path, folder.path().join("model.gguf.calibration.json"));
    assert_eq!(find(&model, &[7; 32], "engine 1", None), Found::Fitting(Box::new(calibration())));
    let why = |found: Found| match found {
        Found::Foreign(why) => why.replace(&folder.path().display().to_string(), "DIR"),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        why(find(&model, &[8; 32], "engine 1", None)),
        "DIR/model.gguf.calibration.json is for a different model"
    );
    assert!(why(find(&model, &[7; 32], "engine 2", None)).ends_with("is for a different engine version"));
    let elsewhere = Calibration { machine: Machine { cpu: "another".into(), n_cores: 1, gpu: None }, ..calibration() };
    write(&elsewhere, &model).expect("writable");
    assert!(why(find(&model, &[7; 32], "engine 1", None)).ends_with("is for a different machine"));
    std::fs::write(&path, "{ \"version\": 1").expect("writable");
    assert!(why(find(&model, &[7; 32], "engine 1", None)).starts_with("cannot read DIR/model.gguf.calibration.json"));
}

#[test]
fn the_variant_that_answers_a_typical_request_first_is_chosen() {
    let variant = |repack, prefill_tps, decode_tps| Variant { repack, n_threads: 2, prefill_tps, decode_tps };
    let chosen = |variants: &[Variant]| best_variant(variants).expect("there are some").repack;
    // Measured on two cores of an x86 server.
    assert!(!chosen(&[variant(false, 98.0, 18.0), variant(true, 60.0, 22.0)]));
    assert!(chosen(&[variant(false, 98.0, 10.0), variant(true, 90.0, 22.0)]));
    assert_eq!(best_variant(&[]), None);
}

fn costs(list: &[(usize, f64)]) -> Vec<Cost> {
    list.iter().map(|&(n_tokens, ms)| Cost { n_tokens, ms }).collect()
}

/// The chosen chunk sizes: while others decode, and for a lone prompt.
fn chunks(list: &[(usize, f64)]) -> (usize, usize) {
    let best = |longest_ms| best_chunk(&costs(list), longest_ms).expect("there are some");
    (best(LONGEST_CHUNK_MS), best(LONGEST_LONE_CHUNK_MS))
}

#[test]
fn the_smallest_chunk_that_is_nearly_the_quickest_is_chosen_if_it_is_short() {
    assert_eq!(chunks(&[(32, 31.0), (64, 60.0), (128, 118.0), (256, 234.0)]), (64, 64));
    assert_eq!(
        chunks(&[(32, 480.0), (64, 800.0), (128, 1420.0), (256, 2600.0)]),
        (128, 256),
        "alone it may take longer"
    );
    assert_eq!(chunks(&[(32, 4000.0), (64, 7000.0)]), (32, 32), "one must be taken");
    assert_eq!(chunks(&[(64, 900.0)]), (64, 64), "there is no line through a single time");
    let gpu = [(16, 5.0), (32, 5.2), (64, 5.5), (128, 7.0), (256, 11.0), (512, 20.0)];
    assert_eq!(chunks(&gpu), (512, 512));
    let slower_and_slower = [(16, 20.0), (32, 40.0), (64, 80.0), (128, 161.0), (256, 330.0), (512, 680.0)];
    assert_eq!(chunks(&slower_and_slower), (16, 16), "no line that begins above zero");
    assert_eq!(best_chunk(&[], LONGEST_CHUNK_MS), None);
}

/// Two measurements of the same machine, with slight CPU contention.
#[test]
fn a_few_percent_do_not_tip_the_choice() {
    for ms_of_128 in [1504.0, 1552.0] {
        let seen = [(16, 289.0), (32, 476.0), (64, 801.0), (128, ms_of_128), (256, 2639.0), (512, 5421.0)];
        assert_eq!(chunks(&seen), (128, 256));
        // Changes each time by 5 % in turn.
        for (nth, percent) in (0..seen.len()).flat_map(|nth| [(nth, 0.95), (nth, 1.05)]) {
            let mut seen = seen;
            seen[nth].1 *= percent;
            assert_eq!(chunks(&seen), (128, 256), "{seen:?}");
        }
    }
    assert_eq!(chunks(&[(64, 788.0), (128, 1421.0), (256, 2653.0), (512, 5330.0)]), (128, 256));
}

#[test]
fn the_chunks_of_a_file_follow_from_its_times() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("model.gguf");
    let other =
        Calibration { chosen: Chosen { prefill_chunk: 64, lone_chunk: 512, ..calibration().chosen }, ..calibration() };
    write(&other, &model).expect("writable");
    assert_eq!(find(&model, &[7; 32], "engine 1", None), Found::Fitting(Box::new(calibration())));
}

#[test]
fn all_sequences_decode_together_unless_fewer_yield_clearly_more() {
    let costs =
        |list: &[(usize, f64)]| -> Vec<SeqCost> { list.iter().map(|&(n_seqs, ms)| SeqCost { n_seqs, ms }).collect() };
    let seen = costs(&[(1, 55.0), (2, 91.0), (4, 148.0), (8, 571.0)]);
    assert_eq!((best_width(&seen, 4), best_width(&seen, 8), best_width(&seen, 1)), (4, 4, 1));
    let gpu = costs(&[(1, 2.2), (2, 2.4), (4, 2.9), (8, 3.7)]);
    assert_eq!((best_width(&gpu, 4), best_width(&gpu, 8), best_width(&gpu, 64)), (4, 8, 64));
    assert_eq!(best_width(&[], 4), 4);
}
