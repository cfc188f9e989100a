use super::*;
use crate::output::Verdict;

const REFUSED_LINE: &str = "2026-11-23T06:41:04Z ERROR beastd: configuration not reloaded error=unknown setting 'x'\n";
const START: &str = "2026-11-23T06:41:04Z  INFO beastd: listening version=\"0.1.0\"\n";
const RELOAD: &str = "2026-11-23T06:41:04Z  INFO beastd: configuration reloaded\n";
const BROKEN: &str = "2026-11-23T06:41:04Z ERROR beastd::worker: the engine failed\n";

fn verdict(lines: &[&str], is_configuration_fine: bool) -> Verdict {
    judge(&lines.concat(), is_configuration_fine).verdict
}

#[test]
fn a_mistake_that_was_mended_is_told_no_more() {
    assert_eq!(verdict(&[START, REFUSED_LINE], false), Verdict::Warning);
    assert_eq!(verdict(&[START, REFUSED_LINE, RELOAD], false), Verdict::Ok);
    assert_eq!(verdict(&[REFUSED_LINE, START], false), Verdict::Ok);
    assert_eq!(verdict(&[START, REFUSED_LINE], true), Verdict::Ok, "nobody has told beastd yet");
    assert_eq!(verdict(&[START, REFUSED_LINE, RELOAD, REFUSED_LINE], false), Verdict::Warning);
}

#[test]
fn other_errors_stay() {
    let finding = judge(&[BROKEN, REFUSED_LINE, START].concat(), true);
    assert_eq!(finding.verdict, Verdict::Warning);
    assert!(finding.text.starts_with("1 error in its last 200 lines") && finding.text.contains("engine failed"));
}
