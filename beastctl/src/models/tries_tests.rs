use super::*;
use crate::{models::hub::Hub, wait::Wait};

#[test]
fn tries_end_without_progress_and_start_over_with_it() {
    let (hub, wait, mut pauses) = (Hub::default(), Wait::default(), Vec::new());
    let patience = Patience { n_tries: 2, pause: Duration::from_micros(10) };
    let mut report = |report: Report| pauses.push(report);
    let mut means = Means { hub: &hub, wait: &wait, patience, report: &mut report };
    let mut tries = Tries::new("http://a.example/m.gguf?secret", patience);
    let failure = |is_early| {
        let whose = if is_early { Whose::Way } else { Whose::Connection };
        FlowError { reason: "cut".into(), whose }
    };
    let mut failed = |has_progress, is_early| tries.failed(failure(is_early), None, has_progress, 7, &mut means);
    failed(false, false).unwrap();
    failed(false, false).unwrap();
    failed(true, false).unwrap();
    failed(false, true).unwrap();
    failed(false, false).unwrap();
    let error = failed(false, false).unwrap_err();
    assert!(matches!(&error, ModelError::GaveUp { n_tries: 3, n_kept: 7, .. }), "{error}");
    assert!(!error.to_string().contains("secret"));
    let error = Tries::new("http://a.example/", patience).failed(failure(true), None, false, 0, &mut means);
    assert!(matches!(error, Err(ModelError::Unreachable { .. })));
    let of_server = FlowError { reason: "more than 10 redirects".into(), whose: Whose::Server };
    let error = Tries::new("http://a.example/", patience).failed(of_server, None, true, 0, &mut means);
    assert!(matches!(error, Err(ModelError::Misled { .. })));
}
