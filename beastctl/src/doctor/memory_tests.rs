use super::*;
use crate::output::Verdict;

const GB: u64 = 1_000_000_000;

#[test]
fn a_model_needs_more_than_its_file() {
    let verdict = |available, loaded, file| judge(Memory { total: 8 * GB, available }, loaded, file).verdict;
    assert_eq!(verdict(Some(4 * GB), None, Some(2 * GB)), Verdict::Ok);
    assert_eq!(verdict(Some(2 * GB), None, Some(2 * GB)), Verdict::Warning);
    assert_eq!(verdict(Some(4 * GB), None, Some(9 * GB)), Verdict::Problem);
    assert_eq!(verdict(None, None, Some(9 * GB)), Verdict::Problem);
    assert_eq!(verdict(None, None, Some(2 * GB)), Verdict::Ok);
    assert_eq!(verdict(Some(GB), None, None), Verdict::Ok);
    // Memory that the loaded model uses no longer counts as available, and need not.
    assert_eq!(verdict(Some(GB), Some(5 * GB), Some(5 * GB)), Verdict::Ok);
}
