//! Memory and loading time of a resident model.

use std::fs;

use anyhow::{Context as _, Result};

use super::asked;
use crate::{
    Setup,
    ask::{Side, exactly},
    beast::{Beast, N_CTX, N_SLOTS},
    footprint::{MB, Memory},
    loading::starts,
    peers::LlamaServer,
    report::{Required, Row},
    words::Words,
};

const N_REQUESTS: usize = 3;
/// Yields about 300 tokens.
const N_WORDS: usize = 240;
const N_GENERATED: u32 = 16;
/// Most memory as a multiple of the file's size, which is all that the weights need.
const SHARE_OF_FILE: f64 = 1.25;
/// Makes llama-server log the size of its KV cache; everything else keeps its default.
const TELLING: [&str; 2] = ["-lv", "4"];
const MIB: f64 = 1_048_576.0;

/// Runs one side at a time. The other one's memory would not change the numbers, but might be missing.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let mut words = Words::new();
    let questions: Vec<_> = (0..N_REQUESTS).map(|_| exactly(None, &words.text(N_WORDS), N_GENERATED)).collect();
    let after = |side: &dyn Side, pid| -> Result<Memory> {
        questions.iter().try_for_each(|question| side.ask(question).map(|_| ()))?;
        Memory::of(pid)
    };
    let beast = Beast::start(setup)?;
    let ours = after(&beast, beast.pid())?;
    let n_cells = beast.status()?.n_cells;
    let server = LlamaServer::start_with(setup, &TELLING)?;
    let peer = after(&server, server.pid())?;
    let kib_of_cell = kib_of_cell(&server.log()?).context("llama-server tells no size of its KV cache")?;
    let what = format!(
        "Both: {N_REQUESTS} texts of about 300 tokens, {N_GENERATED} tokens of answer each; then the resident memory, pages of the \
        mapped file included. The bound is {SHARE_OF_FILE} times the file and {n_cells} cells of the KV cache of {kib_of_cell:.0} KiB each, \
        as llama-server tells. Loading: three starts in turn, the file in the page cache."
    );
    let asked = asked(&what, &beast, &server);
    drop((beast, server));

    let n_file = fs::metadata(&setup.model)?.len() as f64;
    let bound = SHARE_OF_FILE * n_file + f64::from(n_cells) * kib_of_cell * 1024.0;
    let loading = starts(setup)?;
    let rows = [
        Row::new("memory, all of it", "MB", vec![ours.resident / MB]).beside(vec![peer.resident / MB]),
        Row::new("  as a share of the bound", "x", vec![ours.resident / bound])
            .beside(vec![peer.resident / bound])
            .required(Required::AtMost(1.0))
            .note(format!("bound {:.0} MB", bound / MB)),
        Row::new("memory, anonymous part", "MB", vec![ours.anonymous / MB]).beside(vec![peer.anonymous / MB]),
        Row::new("memory, part mapped from files", "MB", vec![ours.files / MB]).beside(vec![peer.files / MB]),
        Row::new("exec to a model that answers", "ms", loading.ours.ready)
            .beside(loading.peer.ready)
            .required(Required::RatioAtMost(1.0)),
    ];
    Ok(rows.map(|row| row.asked(&asked)).into())
}

/// KiB per KV cell, from the log lines that report the sizes of all KV caches.
fn kib_of_cell(log: &str) -> Option<f64> {
    let sizes = log.lines().filter_map(|line| line.split_once("llama_kv_cache: size =")?.1.split_once("MiB"));
    let sizes: Vec<f64> = sizes.map(|(mib, _)| mib.trim().parse()).collect::<Result<_, _>>().ok()?;
    let mib: f64 = sizes.iter().sum();
    (mib > 0.0).then_some(mib * MIB / 1024.0 / (N_SLOTS * N_CTX) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_cell_is_read_from_the_log() {
        let log = "0.1 I llama_kv_cache:        CPU KV buffer size =   256.00 MiB\n\
            0.1 I llama_kv_cache: size =  256.00 MiB (  4096 cells,   8 layers,  4/4 seqs), K (f16):  128.00 MiB\n\
            0.1 I llama_memory_recurrent: size =    0.31 MiB (     4 cells,  16 layers)\n";
        assert_eq!(kib_of_cell(log), Some(16.0));
        assert_eq!(kib_of_cell("nothing"), None);
    }
}
