//! Sampling defaults of a model: from its file's metadata, else the recommendation for its family, else ours.

use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::sampling::{SamplingDefaults, Xtc};

const OURS: SamplingDefaults = SamplingDefaults::OURS;
/// Sampling without filters.
const OPEN: SamplingDefaults = SamplingDefaults { top_k: 0, top_p: 1.0, min_p: 0.0, ..OURS };

/// Recommendations from the makers' model pages, by a part of the model's name; the first match counts.
const FAMILIES: [(&str, SamplingDefaults); 12] = [
    // Must come before the families that it was distilled into.
    ("deepseekr1", SamplingDefaults { temp: 0.6, top_p: 0.95, ..OPEN }),
    ("lfm2.5", SamplingDefaults { temp: 0.1, top_k: 50, top_p: 0.1, repeat_penalty: 1.05, ..OPEN }),
    ("lfm2", SamplingDefaults { temp: 0.3, min_p: 0.15, repeat_penalty: 1.05, ..OPEN }),
    ("qwen2.5", SamplingDefaults { temp: 0.7, top_k: 20, top_p: 0.8, repeat_penalty: 1.05, ..OPEN }),
    ("qwen3", SamplingDefaults { temp: 0.6, top_k: 20, top_p: 0.95, ..OPEN }),
    ("smollm2", SamplingDefaults { temp: 0.2, top_k: 50, top_p: 0.9, ..OPEN }),
    ("smollm3", SamplingDefaults { temp: 0.6, top_p: 0.95, ..OPEN }),
    ("llama3", SamplingDefaults { temp: 0.6, top_p: 0.9, ..OPEN }),
    ("gemma3", SamplingDefaults { temp: 1.0, top_k: 64, top_p: 0.95, ..OPEN }),
    ("gptoss", SamplingDefaults { temp: 1.0, ..OPEN }),
    ("mistralsmall", SamplingDefaults { temp: 0.15, ..OURS }),
    ("apertus", SamplingDefaults { temp: 0.8, top_p: 0.9, ..OPEN }),
];

/// The defaults of a model with this name and metadata. Invalid values count as missing, because a file must not make
/// every request fail.
pub fn sampling_defaults(name: &str, meta: impl Fn(&str) -> Option<String>) -> SamplingDefaults {
    let name: String = name.to_lowercase().chars().filter(|c| !matches!(c, ' ' | '-' | '_')).collect();
    let family = FAMILIES.into_iter().find(|(part, _)| name.contains(part)).map_or(OURS, |(_, defaults)| defaults);
    let of_file = |key: &str| meta(&format!("general.sampling.{key}"));
    let temp = value(of_file("temp"), 0.0..=f32::MAX);
    SamplingDefaults {
        temp: temp.unwrap_or(family.temp),
        top_k: value(of_file("top_k"), i64::MIN..=u32::MAX.into()).map_or(family.top_k, as_count),
        top_p: value(of_file("top_p"), f32::MIN_POSITIVE..=1.0).unwrap_or(family.top_p),
        min_p: value(of_file("min_p"), 0.0..=1.0).unwrap_or(family.min_p),
        // A file may explicitly ask for greedy sampling.
        repeat_penalty: value(of_file("penalty_repeat"), f32::MIN_POSITIVE..=f32::MAX)
            .unwrap_or(if temp == Some(0.0) { 1.0 } else { family.repeat_penalty }),
        repeat_last_n: value(of_file("penalty_last_n"), i64::MIN..=u32::MAX.into())
            .map_or(family.repeat_last_n, |n| if n < 0 { u32::MAX } else { as_count(n) }),
        dry: family.dry,
        xtc: Xtc {
            probability: value(of_file("xtc_probability"), 0.0..=1.0).unwrap_or(family.xtc.probability),
            threshold: value(of_file("xtc_threshold"), 0.0..=1.0).unwrap_or(family.xtc.threshold),
        },
    }
}

/// Parses a number; NaN is in no range.
fn value<T: FromStr + PartialOrd>(text: Option<String>, range: RangeInclusive<T>) -> Option<T> {
    text?.parse().ok().filter(|value| range.contains(value))
}

/// In llama.cpp, a number below 0 means all.
fn as_count(n: i64) -> u32 {
    u32::try_from(n).unwrap_or(0)
}

#[cfg(test)]
#[path = "sampling_tests.rs"]
mod tests;
