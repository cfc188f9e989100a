//! Human-readable numbers.

use std::time::Duration;

/// Bytes, such as `1.6 GB`.
pub fn bytes(n: u64) -> String {
    format!("{}B", si(n))
}

/// A limit that is a power of two: 33,554,432 as `32 MiB`.
pub fn binary(n: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.into_iter().find(|(bits, _)| n >= 1 << bits && n.is_multiple_of(1 << bits));
    unit.map_or_else(|| bytes(n), |(bits, name)| format!("{} {name}", n >> bits))
}

/// A number above such a limit, in the same unit: `40.1 MiB`, or `more than 32 MiB` if both would look the same.
pub fn above(n: u64, limit: u64) -> String {
    let mib = |n: u64| format!("{:.1} MiB", n as f64 / f64::from(1 << 20));
    if mib(n) == mib(limit) { format!("more than {}", binary(limit)) } else { mib(n) }
}

/// 1,560,000,000 as `1.6 G`.
pub fn si(n: u64) -> String {
    let (unit, letter) = match n {
        1_000_000_000.. => (1e9, "G"),
        1_000_000.. => (1e6, "M"),
        1_000.. => (1e3, "k"),
        _ => return format!("{n} "),
    };
    format!("{:.1} {letter}", n as f64 / unit)
}

/// A number of parameters, which people count in billions.
pub fn parameters(n: u64) -> String {
    si(n).replace('G', "B")
}

/// A time in milliseconds, shown in whole seconds from one second on.
pub fn span(ms: u64) -> String {
    let ms = if ms >= 1000 { ms / 1000 * 1000 } else { ms };
    humantime::format_duration(Duration::from_millis(ms)).to_string()
}

/// A share in percent; `None` if the whole is 0.
pub fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

/// A number and its noun, with an `s` unless the number is 1.
pub fn count(n: u64, noun: &str) -> String {
    format!("{n} {}", plural(n, noun))
}

/// The plural of a noun, for numbers that are formatted otherwise.
pub fn plural(n: u64, noun: &str) -> String {
    format!("{noun}{}", if n == 1 { "" } else { "s" })
}

/// 38211 as `38,211`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
#[path = "units_tests.rs"]
mod tests;
