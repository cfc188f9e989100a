use expect_test::expect;

use super::*;
use crate::{
    bench::daemon::tests::answered,
    output::status::tests::status,
    output::tables::{Layout, table_text},
};

#[test]
fn the_profiles_stand_beside_each_other() {
    let mut speeds: [Speeds; 2] = Default::default();
    speeds[0].push(answered(400, 65, [4010, 4000, 3200]));
    speeds[1].push(answered(400, 65, [3010, 3000, 3200]));
    let statuses = [512, 1024].map(|n_batch| Status { n_batch, ..status() });
    let table = Table { groups: groups(speeds, &statuses), ..Table::new(PLAN.name, PLAN.title) };
    expect![[r#"

        profiles: profile beast against baseline, measured in turn
          first token, ms, less is better
            baseline  4010.0  x1.00  ████████████████████████████████  context 0, batch 512
            beast     3010.0  x0.75  ████████████████████████          context 0, batch 1024
          prefill, tokens/s
            baseline   100.0  x1.00  ████████████████████████          context 0, batch 512
            beast      133.3  x1.33  ████████████████████████████████  context 0, batch 1024
          decode, tokens/s
            baseline    20.0  x1.00  ████████████████████████████████  context 0, batch 512
            beast       20.0  x1.00  ████████████████████████████████  context 0, batch 1024
    "#]]
    .assert_eq(&table_text(&table, Layout { width: 90, is_utf8: true }));
}
