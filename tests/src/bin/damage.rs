//! `make damage`: a thousand damaged models, and a daemon that must survive them. `damage N SEED` repeats a part of a
//! run.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use beast_tests::damage::{Tally, run};
use beast_tests::{foreign_model, project};

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (n, seed) = (numbers.next().unwrap_or(1000), numbers.next().unwrap_or(1));
    let cub = project("models/cub/cub.gguf");
    // Half of them damage another maker's model, if there is one.
    let models = match foreign_model() {
        Some(foreign) => vec![(cub, n.div_ceil(2)), (foreign, n / 2)],
        None => vec![(cub, n)],
    };
    let mut out = std::io::stdout();
    let mut tell = |line: String| drop(writeln!(out, "{line}"));
    let began = Instant::now();
    let mut all = Tally::default();
    for (model, n) in models.into_iter().filter(|(_, n)| *n > 0) {
        let name = model.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let tally = run(&model, seed..seed + n, |seed, said| tell(format!("{name} {seed}: {said}")));
        all.n_refused += tally.n_refused;
        all.n_taken += tally.n_taken;
        all.failures.extend(tally.failures.into_iter().map(|failure| format!("{name} {failure}")));
    }
    all.failures.iter().for_each(|failure| tell(failure.clone()));
    let (refused, taken, failed) = (all.n_refused, all.n_taken, all.failures.len());
    tell(format!(
        "{n} models: {refused} refused, {taken} loaded, {failed} ended or held up the daemon ({:.0?})",
        began.elapsed()
    ));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
