use expect_test::expect;

use super::*;
use crate::output::tables::{Layout, table_text};

#[test]
fn each_stage_has_its_time_and_its_share() {
    let start = |socket, weights| {
        vec![Stage { stage: LoadStage::Socket, us: socket }, Stage { stage: LoadStage::Weights, us: weights }]
    };
    let table = table(&[start(300, 600_000), start(100, 400_000), start(200, 500_000)]);
    expect![[r#"

        startup: from the start of beastd until it is ready
          stages of loading, ms, less is better
            socket    0.20  0.10..0.30    ▏                                 0 %
            weights  500.0  400.0..600.0  ████████████████████████████████  100 %
            ready    500.2  400.1..600.3  ████████████████████████████████  100 %
          note: the file was in the page cache; the first start after boot also reads it from disk
    "#]]
    .assert_eq(&table_text(&table, Layout { width: 90, is_utf8: true }));
}

/// Has not been observed, but a stage may be missing from one of the starts.
#[test]
fn a_stage_that_is_missing_took_no_time() {
    let weights = Stage { stage: LoadStage::Weights, us: 1000 };
    let table = table(&[vec![weights], vec![weights, Stage { stage: LoadStage::WarmUp, us: 500 }]]);
    assert_eq!(table.groups[0].rows[1].samples.all(), [0.0, 0.5]);
}
