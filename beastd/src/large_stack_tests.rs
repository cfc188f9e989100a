use super::*;

/// Recurses through about 100 MiB of stack.
fn deep(n: u32) -> u64 {
    let block = std::hint::black_box([u64::from(n); 64]);
    if n == 0 { 0 } else { deep(n - 1) + block[(n % 64) as usize] - u64::from(n) }
}

#[test]
fn what_recurses_deep_has_room_and_a_task_within_a_task_has_the_same() {
    let id = || thread::current().id();
    let (outer, inner) = run(|| (id(), run(|| (deep(150_000), id())))).expect("it runs");
    assert_ne!(outer, id());
    assert_eq!(inner, Ok((0, outer)));
}

#[tokio::test]
async fn nobody_waits_for_a_task_beside() {
    let (go, wait) = std::sync::mpsc::channel();
    let beside = beside(move || wait.recv().map(|()| deep(150_000)));
    let other = async move { go.send(()).expect("it waits") };
    let (outcome, ()) = tokio::join!(beside, other);
    assert_eq!(outcome, Ok(Ok(0)));
}

#[tokio::test]
async fn a_panic_is_an_error() {
    let panics = || panic!("on purpose");
    assert_eq!(run::<()>(panics), Err(PANICKED.into()));
    assert_eq!(run(|| run::<()>(panics)), Ok(Err(PANICKED.into())));
    assert_eq!(beside::<()>(panics).await, Err(PANICKED.into()));
}
