use beast_protocol::{ErrorCode, WireError};

use super::*;

fn exchanges(lens: &[usize]) -> Vec<Exchange> {
    let said = |len| Said { text: "a".repeat(len), model: "cub".into(), is_cut: false };
    lens.iter().map(|len| Exchange::new(String::new(), said(*len))).collect()
}

#[test]
fn as_much_is_left_out_as_is_needed() {
    let exchanges = exchanges(&[100, 100, 100, 100]);
    let n = |error: WireError| n_to_leave_out(&ClientError::Daemon(error).into(), &exchanges);
    let too_long = || WireError::new(ErrorCode::TooLong, "too long");
    assert_eq!(n(too_long()), 1, "without sizes one after the other");
    assert_eq!(n(too_long().with_sizes(401, 400)), 1);
    assert_eq!(n(too_long().with_sizes(400, 210)), 2);
    assert_eq!(n(too_long().with_sizes(400, 0)), 4);
    assert_eq!(n(WireError::new(ErrorCode::Overloaded, "busy")), 0);
    assert_eq!(n_to_leave_out(&ClientError::Daemon(too_long()).into(), &[]), 0);
}
