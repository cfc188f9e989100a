//! `generation_settings`: how an answer is generated, in llama-server's terms. Samplers that beastd lacks are
//! reported as off.

use beast_protocol::{Constraint, Generate, Sampling};
use serde_json::{Value, json};

use crate::sampling::{Dry, SamplingDefaults, Xtc};

/// llama.cpp's value for a random seed.
const RANDOM_SEED: u32 = 0xffff_ffff;

pub(super) fn defaults(defaults: Option<SamplingDefaults>, n_predict: usize) -> Value {
    common(&Sampling::default(), defaults, i64::try_from(n_predict).unwrap_or(-1))
}

/// The settings of a request. `never` holds the end-of-turn tokens that it bans.
pub(super) fn of(request: &Generate, defaults: SamplingDefaults, n_predict: i64, never: &[i32]) -> Value {
    let mut value = common(&request.sampling, Some(defaults), n_predict);
    let given = request.sampling.logit_bias.iter().map(|&(token, bias)| {
        // JSON has no infinity.
        json!({ "token": token, "bias": bias.is_finite().then_some(bias) })
    });
    let never = never.iter().map(|&token| json!({ "token": token, "bias": null }));
    value["logit_bias"] = given.chain(never).collect();
    value["stop"] = request.stop.clone().into();
    value["ignore_eos"] = request.ignore_eos.into();
    value["n_probs"] = request.logprobs.unwrap_or(0).into();
    value["grammar"] = match &request.constraint {
        Some(Constraint::Grammar(text)) => text.clone().into(),
        _ => "".into(),
    };
    value["grammar_lazy"] = false.into();
    value["grammar_triggers"] = json!([]);
    value["preserved_tokens"] = json!([]);
    value
}

fn common(sampling: &Sampling, defaults: Option<SamplingDefaults>, n_predict: i64) -> Value {
    let is_greedy = sampling.temp == Some(0.0);
    let repeat = if is_greedy { Some(1.0) } else { defaults.map(|defaults| defaults.repeat_penalty) };
    let dry = defaults.map_or(Dry::NONE, |defaults| defaults.dry);
    let last_n = sampling.dry_penalty_last_n.unwrap_or(dry.last_n);
    let xtc = defaults.map_or(Xtc::NONE, |defaults| defaults.xtc);
    let mut value = json!({
        "seed": sampling.seed.unwrap_or(RANDOM_SEED),
        "temperature": sampling.temp.or(defaults.map(|defaults| defaults.temp)),
        "top_k": sampling.top_k.or(defaults.map(|defaults| defaults.top_k)),
        "top_p": sampling.top_p.or(defaults.map(|defaults| defaults.top_p)),
        "min_p": sampling.min_p.or(defaults.map(|defaults| defaults.min_p)),
        "repeat_last_n": sampling.repeat_last_n.or(defaults.map(|defaults| defaults.repeat_last_n)),
        "repeat_penalty": sampling.repeat_penalty.or(repeat),
        "presence_penalty": sampling.presence_penalty.unwrap_or(0.0),
        "frequency_penalty": sampling.frequency_penalty.unwrap_or(0.0),
        "dry_multiplier": sampling.dry_multiplier.unwrap_or(if is_greedy { 0.0 } else { dry.multiplier }),
        "dry_base": sampling.dry_base.unwrap_or(dry.base),
        "dry_allowed_length": sampling.dry_allowed_length.unwrap_or(dry.allowed_length),
        "dry_penalty_last_n": if last_n == u32::MAX { -1 } else { i64::from(last_n) },
        "dry_sequence_breakers": ["\n", ":", "\"", "*"],
        "xtc_probability": sampling.xtc_probability.unwrap_or(xtc.probability),
        "xtc_threshold": sampling.xtc_threshold.unwrap_or(xtc.threshold),
        "max_tokens": n_predict,
        "n_predict": n_predict,
        "ignore_eos": false,
        "stream": false,
        "n_probs": 0,
        "samplers": ["penalties", "dry", "top_k", "top_p", "min_p", "xtc", "temperature"],
        "timings_per_token": false,
        "post_sampling_probs": false,
    });
    for absent in [absent_samplers(), absent_features()] {
        if let (Value::Object(value), Value::Object(absent)) = (&mut value, absent) {
            value.extend(absent);
        }
    }
    value
}

fn absent_samplers() -> Value {
    json!({
        "dynatemp_range": 0.0,
        "dynatemp_exponent": 1.0,
        "top_n_sigma": -1.0,
        "typical_p": 1.0,
        "mirostat": 0,
        "mirostat_tau": 5.0,
        "mirostat_eta": 0.1,
        "adaptive_target": -1.0,
        "adaptive_decay": 0.9,
    })
}

fn absent_features() -> Value {
    json!({
        "n_keep": 0,
        "n_discard": 0,
        "min_keep": 0,
        "chat_format": "Content-only",
        "reasoning_format": "deepseek",
        "reasoning_in_content": false,
        "generation_prompt": "",
        "backend_sampling": false,
        "lora": [],
    })
}
