use std::os::unix::process::ExitStatusExt;

use super::*;

/// An answer with these times in milliseconds: to the first token, prefill, decode.
pub(in crate::bench) fn answered(n_prompt: u32, n_generated: u32, ms: [u64; 3]) -> Answered {
    let [first_token_us, prefill_us, decode_us] = ms.map(|ms| ms * 1000);
    Answered {
        usage: Usage { n_prompt, n_generated, ..Usage::default() },
        timings: Timings { first_token_us, prefill_us, decode_us, ..Timings::default() },
    }
}

#[test]
fn the_last_words_are_those_of_the_program() {
    let status = ExitStatus::from_raw(2 << 8);
    let words = |stderr: &str| words_of(stderr.as_bytes(), status);
    assert_eq!(words("INFO loading\nbeastd: no file; try: another\n"), "beastd: no file; try: another");
    assert_eq!(words("something else\n"), "something else");
    assert_eq!(words(" \n"), "it exited with exit status: 2");
}
