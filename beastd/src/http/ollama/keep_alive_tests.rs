use super::*;

fn is_over_with(value: Value) -> Result<bool, String> {
    let body = json!({ "keep_alive": value });
    is_over(&Fields::new(body.as_object().expect("an object"))).map_err(|refusal| refusal.message)
}

#[test]
fn only_nothing_is_at_once() {
    for stays in
        [json!(null), json!(-1), json!(300), json!("5m"), json!("-1"), json!("-1m"), json!("1h30m"), json!("60")]
    {
        assert_eq!(is_over_with(stays.clone()), Ok(false), "{stays}");
    }
    for goes in [json!(0), json!(0.0), json!("0"), json!("0s"), json!("0m0s")] {
        assert_eq!(is_over_with(goes.clone()), Ok(true), "{goes}");
    }
    for wrong in [json!("soon"), json!("5 m"), json!("m"), json!("-"), json!(""), json!("5x"), json!("inf"), json!([])]
    {
        let message = is_over_with(wrong.clone()).expect_err("invalid");
        assert_eq!(message, "invalid keep_alive: expected seconds or a duration such as 5m", "{wrong}");
    }
}

#[test]
fn durations_of_go() {
    assert_eq!(seconds("1h30m"), Some(5400.0));
    assert_eq!(seconds("1.5s"), Some(1.5));
    assert_eq!(seconds("-250ms"), Some(-0.25));
}
