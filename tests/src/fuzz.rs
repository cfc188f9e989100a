//! A fuzzer for functions that take untrusted input: mutates a corpus, with a seed that repeats a run.
//!
//! Stable Rust offers no coverage to guide it. Good corpora and dictionaries make up for that.

use std::any::Any;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::dice::Dice;

/// Seconds per target without `BEAST_FUZZ_SECONDS`; few, because every test run includes it.
const DEFAULT_SECONDS: u64 = 2;
/// Time limit for an input on a busy machine; more means a hang.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest input, in bytes.
const MAX_LEN: usize = 16 * 1024;

/// Feeds inputs to `target` until the time is over. `corpus` holds valid inputs, `dictionary` fragments of such.
///
/// # Panics
/// With the input, when the target panics or does not return in time.
pub fn fuzz(name: &str, corpus: &[&[u8]], dictionary: &[&str], mut target: impl FnMut(&[u8])) {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let until = Instant::now() + Duration::from_secs(number("BEAST_FUZZ_SECONDS", DEFAULT_SECONDS));
    let seed = number("BEAST_FUZZ_SEED", 1);
    let mut pool: Vec<Vec<u8>> = corpus.iter().map(|input| input.to_vec()).collect();
    assert!(!pool.is_empty(), "{name}: a corpus holds something");
    let mut n_inputs: u64 = 0;
    let running =
        std::env::var_os("BEAST_FUZZ_SECONDS").map(|_| std::env::temp_dir().join(format!("beast-fuzz-{name}")));
    while Instant::now() < until {
        // Each input has a seed of its own, so that one can be repeated without all before it.
        let mut dice = Dice::new(seed.wrapping_mul(1 << 32).wrapping_add(n_inputs));
        let input = if (n_inputs as usize) < pool.len() {
            pool[n_inputs as usize].clone()
        } else {
            mutated(&pool, dictionary, &mut dice)
        };
        // If a crash ends this process, the input remains in this file.
        if let Some(file) = &running {
            std::fs::write(file, &input).expect("the temporary folder is writable");
        }
        let began = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| target(&input)));
        let shown =
            || format!("{name}: input {n_inputs} of BEAST_FUZZ_SEED={seed}: {:?}", String::from_utf8_lossy(&input));
        if let Err(panic) = outcome {
            panic!("{} panicked: {}", shown(), words(&*panic));
        }
        assert!(began.elapsed() < PATIENCE, "{} took {:?}", shown(), began.elapsed());
        n_inputs += 1;
        // Some inputs join the corpus.
        if dice.below(64) == 0 && pool.len() < 4 * corpus.len() + 64 {
            pool.push(input);
        }
    }
    // The file is missing in a short run.
    let _ = running.map(std::fs::remove_file);
    // Written directly, because the output of a macro is captured.
    let _ = writeln!(std::io::stderr(), "fuzz {name}: {n_inputs} inputs, seed {seed}");
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

fn mutated(pool: &[Vec<u8>], dictionary: &[&str], dice: &mut Dice) -> Vec<u8> {
    let mut input = dice.one_of(pool);
    for _ in 0..=dice.below(6) {
        mutate(&mut input, pool, dictionary, dice);
        input.truncate(MAX_LEN);
    }
    input
}

fn mutate(input: &mut Vec<u8>, pool: &[Vec<u8>], dictionary: &[&str], dice: &mut Dice) {
    const EDGES: [u8; 9] = [0, 1, 0x7F, 0x80, 0xFF, b'\n', b'"', b'\\', b'{'];
    let at = dice.below(input.len() + 1);
    let range = at..input.len().min(at + 1 + dice.below(32));
    match dice.below(9) {
        0 => input.truncate(at),
        1 => drop(input.drain(range)),
        2 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        3 => input.insert(at, dice.one_of(&EDGES)),
        4 => {
            let part: Vec<u8> = input[range].to_vec();
            let times = [1, 2, 8, 200][dice.below(4)];
            let more: Vec<u8> = part.iter().copied().cycle().take((part.len() * times).min(MAX_LEN)).collect();
            input.splice(at..at, more);
        }
        5 | 6 if !dictionary.is_empty() => {
            let word = dice.one_of(dictionary);
            let times = [1, 1, 1, 3, 500][dice.below(5)];
            input.splice(at..at, word.repeat(times).into_bytes());
        }
        7 => {
            let number = dice.one_of(&["-1", "0", "4294967296", "9223372036854775808", "1e308", "NaN", "1e-320"]);
            input.splice(range, number.bytes());
        }
        _ => {
            let other = dice.one_of(pool);
            let from = dice.below(other.len() + 1);
            let to = other.len().min(from + dice.below(256));
            input.splice(at..at, other[from..to].iter().copied());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_breaks_is_found_and_its_input_is_told() {
        let breaks = |input: &[u8]| assert!(!input.windows(2).any(|pair| pair == b"bb"), "it holds bb");
        let outcome = catch_unwind(|| fuzz("bb", &[b"ab", b"ba"], &[], breaks));
        let error = outcome.expect_err("two b come together soon");
        let words = words(&*error);
        assert!(words.contains("of BEAST_FUZZ_SEED=1") && words.contains("it holds bb"), "{words}");
    }

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let inputs = |seed: u64| -> Vec<Vec<u8>> {
            let pool = [b"some text".to_vec(), b"{\"a\": 1}".to_vec()];
            (0..50).map(|n| mutated(&pool, &["x"], &mut Dice::new(seed + n))).collect()
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(1000));
    }
}
