use super::*;

#[test]
fn one_holds_it_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("a model.gguf");
    let lock = Lock::take(&target).unwrap();
    assert!(matches!(Lock::take(&target), Err(ModelError::Locked(name)) if name == "a model.gguf"));
    assert!(Lock::take(&dir.path().join("other.gguf")).is_ok());
    drop(lock);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(Lock::take(&target).is_ok());
}

#[test]
fn a_file_left_by_a_killed_process_is_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("m.gguf.lock"), "").unwrap();
    assert!(Lock::take(&dir.path().join("m.gguf")).is_ok());
}

#[test]
fn of_many_at_once_one_wins_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("m.gguf");
    let n_inside = std::sync::atomic::AtomicUsize::new(0);
    let n_won = std::sync::atomic::AtomicUsize::new(0);
    let order = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let Ok(_lock) = Lock::take(&target) else { continue };
                    assert_eq!(n_inside.fetch_add(1, order), 0);
                    n_won.fetch_add(1, order);
                    n_inside.fetch_sub(1, order);
                }
            });
        }
    });
    assert!(n_won.load(order) > 0);
}
