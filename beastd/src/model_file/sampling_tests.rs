use super::*;

fn of(name: &str, metadata: &[(&str, &str)]) -> SamplingDefaults {
    sampling_defaults(name, |key| {
        let key = key.strip_prefix("general.sampling.").expect("only these are asked for");
        metadata.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn the_files_own_sampling_comes_first() {
    let defaults = of("cub LFM2", &[("temp", "0.000000")]);
    assert_eq!((defaults.temp, defaults.repeat_penalty), (0.0, 1.0));
    let all = [
        ("temp", "0.7"),
        ("top_k", "11"),
        ("top_p", "0.8"),
        ("min_p", "0.02"),
        ("penalty_repeat", "1.2"),
        ("penalty_last_n", "128"),
        ("xtc_probability", "0.5"),
        ("xtc_threshold", "0.2"),
    ];
    let xtc = Xtc { probability: 0.5, threshold: 0.2 };
    let (repeat_penalty, repeat_last_n, dry) = (1.2, 128, OURS.dry);
    let expected =
        SamplingDefaults { temp: 0.7, top_k: 11, top_p: 0.8, min_p: 0.02, repeat_penalty, repeat_last_n, dry, xtc };
    assert_eq!(of("LFM2 2.6B", &all), expected);
    assert_eq!(of("x", &[("penalty_last_n", "-1")]).repeat_last_n, u32::MAX);
    assert_eq!(of("x", &[("top_k", "-1")]).top_k, 0);
}

#[test]
fn then_the_familys_then_ours() {
    assert_eq!(of("LFM2 2.6B", &[]).min_p, 0.15);
    assert_eq!(of("LFM2.5 1.2B Instruct", &[]).top_k, 50);
    assert_eq!(of("DeepSeek R1 Distill Qwen2.5 7B", &[]).temp, 0.6);
    assert_eq!(of("Smollm2 135M 8k Lc100K Mix1 Ep2", &[]).temp, 0.2);
    assert_eq!(of("Meta_Llama-3.1 8B", &[]).top_p, 0.9);
    assert_eq!(of("other", &[]), OURS);
    assert_eq!(of("gemma-3-4b-it", &[("temp", "0.5")]), SamplingDefaults { temp: 0.5, ..of("Gemma 3", &[]) });
}

#[test]
fn values_that_make_no_sense_count_as_missing() {
    for (key, value) in [
        ("temp", "-1"),
        ("temp", "nan"),
        ("temp", "inf"),
        ("temp", "warm"),
        ("top_k", "1e9"),
        ("top_k", "99999999999"),
        ("top_p", "0"),
        ("top_p", "1.5"),
        ("min_p", "-0.1"),
        ("penalty_repeat", "0"),
        ("xtc_probability", "2"),
        ("xtc_threshold", "nan"),
    ] {
        assert_eq!(of("other", &[(key, value)]), OURS, "{key} {value}");
    }
}
