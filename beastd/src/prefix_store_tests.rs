use std::fmt::Debug;
use std::os::unix::fs::{FileExt, chown, symlink};

use tempfile::TempDir;

use super::*;

const ROOM: u64 = 1 << 20;

fn key(engine: &str) -> StoreKey {
    StoreKey { model: [7; 32], engine: engine.to_owned(), kv_layout: "f16".to_owned() }
}

pub(super) fn tokens(numbers: impl IntoIterator<Item = i32>) -> Vec<Token> {
    numbers.into_iter().map(Token).collect()
}

/// A state of 500 bytes that differs for different tokens.
pub(super) fn state(tokens: &[Token]) -> SavedState {
    let sum: i32 = tokens.iter().map(|token| token.0 * 31 + 7).sum();
    saved(&std::array::from_fn::<u8, 500, _>(|n| (n as i32 * 13 + sum) as u8))
}

fn saved(bytes: &[u8]) -> SavedState {
    SavedState::unseal(b"", bytes.to_vec(), &Sha256::digest(bytes).into()).expect("just sealed")
}

pub(super) fn folder() -> TempDir {
    tempfile::tempdir().expect("there is room")
}

pub(super) fn open(folder: &Path, max_bytes: u64) -> PrefixStore {
    PrefixStore::open(folder, key("a"), max_bytes).expect("the folder is ours")
}

pub(super) fn write(store: &mut PrefixStore, tokens: &[Token]) {
    store.write(tokens, &state(tokens)).expect("there is room");
}

fn check_read(store: &mut PrefixStore, tokens: &[Token]) {
    assert!(store.read(tokens).is_some_and(|read| read == state(tokens)), "{tokens:?}");
}

/// Sorted names in a folder.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let name = |item: io::Result<fs::DirEntry>| item.expect("readable").file_name().into_string().expect("ASCII");
    let mut names: Vec<_> = fs::read_dir(folder).expect("readable").map(name).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").mode() & 0o7777
}

fn write_raw(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("writable");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("ours");
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let file = File::options().write(true).open(path).expect("ours");
    file.write_all_at(bytes, at).expect("there is room");
}

/// A folder with one stored prefix, and the path of its file.
fn one(tokens: &[Token]) -> (TempDir, PathBuf) {
    let folder = folder();
    let mut store = open(folder.path(), ROOM);
    write(&mut store, tokens);
    let path = store.path(tokens);
    (folder, path)
}

/// Damages the file of a prefix. Neither a running daemon nor one that starts afterwards may return or keep it; the
/// latter must remove it when opening the folder if the damage is `seen_at_open`.
fn check_refused(what: impl Debug, seen_at_open: bool, spoil: impl Fn(&Path)) {
    let prefix = tokens(10..17);
    for is_running in [true, false] {
        let (folder, path) = one(&prefix);
        let running = is_running.then(|| open(folder.path(), ROOM));
        spoil(&path);
        let mut store = running.unwrap_or_else(|| open(folder.path(), ROOM));
        assert_eq!(store.contains(&prefix), is_running || !seen_at_open, "{what:?}");
        assert_eq!(store.read(&prefix), None, "{what:?}");
        assert_eq!(names(folder.path()).len(), 0, "{what:?}");
        assert_eq!(store.stats(), StoreStats::default(), "{what:?}");
        write(&mut store, &prefix);
        check_read(&mut store, &prefix);
    }
}

#[test]
fn what_is_written_is_read_now_and_after_a_restart() {
    let folder = folder();
    let (short, long) = (tokens([1, -2, i32::MAX]), tokens(0..5000));
    let mut store = open(folder.path(), ROOM);
    assert_eq!(store.stats(), StoreStats::default());
    assert_eq!(store.read(&short), None);
    write(&mut store, &short);
    store.write(&long, &saved(b"")).expect("an engine may have nothing to say");
    for _ in 0..2 {
        assert!(store.contains(&short) && store.contains(&long) && !store.contains(&short[..2]));
        check_read(&mut store, &short);
        assert_eq!(store.read(&long), Some(saved(b"")));
        let n_bytes = (2 * (60 + 32) + 3 * 4 + 500 + 5000 * 4) as u64;
        assert_eq!(store.stats(), StoreStats { n_entries: 2, n_bytes, n_restored: 2 });
        store = open(folder.path(), ROOM);
    }
}

#[test]
fn writing_again_changes_nothing() {
    let (folder, _) = one(&tokens(0..9));
    let mut store = open(folder.path(), ROOM);
    store.write(&tokens(0..9), &saved(b"another state")).expect("nothing is done");
    check_read(&mut store, &tokens(0..9));
    store.write(&[], &saved(b"of no tokens")).expect("nothing is done");
    assert_eq!(names(folder.path()).len(), 1);
}

#[test]
fn the_longest_wins_and_leaves_a_token() {
    let folder = folder();
    let mut store = open(folder.path(), ROOM);
    for prefix in [tokens(0..20), tokens(0..40), tokens(0..30), tokens(1..50)] {
        write(&mut store, &prefix);
    }
    let find = |n_tokens: i32, longer_than: usize| store.find(&tokens(0..n_tokens), longer_than);
    assert_eq!([100, 41, 40, 20, 0].map(|n| find(n, 0)), [Some(40), Some(40), Some(30), None, None]);
    assert_eq!([find(100, 39), find(100, 40), find(40, 29), find(40, 30)], [Some(40), None, Some(30), None]);
    assert_eq!(store.find(&tokens([0, 1, 3]), 0), None);
}

#[test]
fn a_damaged_byte_is_never_returned() {
    let (_folder, path) = one(&tokens(10..17));
    let whole = fs::read(path).expect("readable");
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        let is_before_state = at < 60 + 7 * 4;
        check_refused(format!("byte {at}"), is_before_state, |path| write_raw(path, &damaged));
    }
}

#[test]
fn a_file_that_is_cut_or_continued_is_removed() {
    let (_folder, path) = one(&tokens(10..17));
    let whole = fs::read(path).expect("readable");
    for len in 0..whole.len() {
        check_refused(format!("{len} bytes"), true, |path| write_raw(path, &whole[..len]));
    }
    check_refused("one more", true, |path| write_raw(path, &[&whole[..], b"x"].concat()));
}

#[test]
fn absurd_numbers_are_refused_before_anything_is_allocated() {
    // The last two yield the right length modulo 2^64.
    let absurd = [(u64::MAX, 0), (0, u64::MAX), (u64::MAX, u64::MAX), (0, 528), (8, 500)];
    for (n_tokens, n_state) in absurd.into_iter().chain([(1 << 62 | 7, 500), (1 << 63 | 7, 500)]) {
        check_refused(format!("{n_tokens} tokens, {n_state} bytes"), true, |path| {
            overwrite(path, 44, &u64::to_le_bytes(n_tokens));
            overwrite(path, 52, &u64::to_le_bytes(n_state));
        });
    }
    // A sparse file of a terabyte is cheap to make, and must be cheap to refuse, even with a matching header.
    check_refused("a hole", true, |path| {
        overwrite(path, 52, &u64::to_le_bytes((1 << 40) - 60 - 7 * 4 - 32));
        File::options().write(true).open(path).expect("ours").set_len(1 << 40).expect("a hole needs no room");
    });
}

#[test]
fn what_belongs_to_another_key_is_never_read_and_leaves_when_there_is_no_room() {
    let mut model = key("a");
    model.model[31] = 8;
    let kv_layout = StoreKey { kv_layout: "q8_0".to_owned(), ..key("a") };
    let shifted = StoreKey { engine: "af".to_owned(), kv_layout: "16".to_owned(), ..key("a") };
    for other in [model, key("b"), kv_layout, shifted] {
        let (folder, path) = one(&tokens(0..9));
        let mut store = PrefixStore::open(folder.path(), other.clone(), ROOM).expect("ours");
        assert_eq!((store.stats().n_entries, path.exists()), (0, true));
        assert_eq!(store.find(&tokens(0..20), 0), None);
        // It is not read even under the file name that our key would give it.
        write(&mut store, &tokens(0..9));
        let foreign = fs::read(store.path(&tokens(0..9))).expect("readable");
        write_raw(&path, &foreign);
        let mut ours = open(folder.path(), ROOM);
        assert_eq!((ours.stats().n_entries, ours.read(&tokens(0..9))), (0, None));
        check_read(&mut store, &tokens(0..9));
        // Both count for the limit, whoever wrote them.
        ours.max_bytes = 900;
        write(&mut ours, &tokens(0..12));
        assert_eq!(names(folder.path()).len(), 1);
        assert_eq!(store.read(&tokens(0..9)), None);
    }
    check_refused("another version", true, |path| overwrite(path, 8, &[2]));
}

#[test]
fn a_file_under_the_name_of_another_prefix_is_not_taken_for_it() {
    check_refused("of another", true, |path| {
        let (_folder, other) = one(&tokens(11..18));
        fs::rename(other, path).expect("same disk");
    });
}

#[test]
fn the_bound_holds_and_the_least_recently_used_goes_first() {
    let folder = folder();
    let prefix = |n: i32| tokens([n, n + 1]);
    let each = 60 + 2 * 4 + 500 + 32;
    let mut store = open(folder.path(), 3 * each + 1);
    (0..3).for_each(|n| write(&mut store, &prefix(n)));
    check_read(&mut store, &prefix(0));
    let held = |store: &PrefixStore| (0..6).filter(|&n| store.contains(&prefix(n))).collect::<Vec<_>>();
    write(&mut store, &prefix(3));
    assert_eq!(held(&store), [0, 2, 3]);
    assert_eq!(store.stats().n_bytes, 3 * each);

    // The order survives a restart, and a smaller limit is enforced at once.
    let mut store = open(folder.path(), 2 * each);
    assert_eq!(held(&store), [0, 3]);
    assert_eq!(names(folder.path()).len(), 2);
    check_read(&mut store, &prefix(0));
    let mut store = open(folder.path(), 2 * each);
    write(&mut store, &prefix(4));
    assert_eq!(held(&store), [0, 4]);

    // A prefix that can never fit evicts nothing.
    store.write(&prefix(5), &saved(&vec![0; 2 * each as usize])).expect("nothing is done");
    assert_eq!(held(&store), [0, 4]);
    store.write(&prefix(5), &saved(&vec![0; (2 * each - 60 - 8 - 32) as usize])).expect("just fits");
    assert_eq!(held(&store), [5]);
    assert_eq!(open(folder.path(), 0).stats(), StoreStats::default());
    assert_eq!(names(folder.path()).len(), 0);
}

#[test]
fn a_time_in_the_future_does_not_make_a_prefix_immortal() {
    let (folder, path) = one(&tokens(0..2));
    let future = SystemTime::now() + Duration::from_secs(10 * 365 * 86400);
    File::open(&path).expect("ours").set_modified(future).expect("ours");
    let mut store = open(folder.path(), 1200);
    write(&mut store, &tokens(2..4));
    assert!(open(folder.path(), 1199).contains(&tokens(2..4)), "used later than the one from the future");
}

#[test]
fn leftovers_are_removed_but_not_what_is_being_written() {
    let folder = folder();
    let store = open(folder.path(), ROOM);
    let part = store.begin_file(&store.path(&tokens([1]))).expect("there is room");
    let leftover = folder.path().join(format!(".abcdef{PART_SUFFIX}"));
    write_raw(&leftover, b"half a");
    assert_eq!(mode(part.part()), 0o600);
    open(folder.path(), ROOM);
    assert!(part.part().exists() && !leftover.exists());
    drop(part);
    assert_eq!(names(folder.path()).len(), 0);
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let (folder, path) = one(&tokens(0..2));
    let ours = path.file_name().expect("it has one").to_str().expect("ASCII").to_owned();
    let others = ["README", "cafe.prefix", &("z".repeat(64) + SUFFIX), &(ours.clone() + ".gz")];
    others.iter().for_each(|name| write_raw(&folder.path().join(name), b"precious"));
    for sub in ["0".repeat(64) + SUFFIX, format!(".sub{PART_SUFFIX}")] {
        fs::create_dir(folder.path().join(sub)).expect("there is room");
    }
    let mut expected = names(folder.path());
    expected.retain(|name| *name != ours);
    open(folder.path(), 0);
    assert_eq!(names(folder.path()), expected);
}

#[test]
fn links_are_removed_and_never_followed() {
    let prefix = tokens(10..17);
    // A valid file; only the link to it is wrong.
    let (_elsewhere, target) = one(&prefix);
    let before = fs::read(&target).expect("readable");
    let spoil = |path: &Path| {
        fs::remove_file(path).expect("it is there");
        symlink(&target, path).expect("there is room");
    };
    check_refused("a link", true, spoil);
    // Writing replaces the link and does not follow it.
    let (folder, _) = one(&tokens(0..9));
    let mut store = open(folder.path(), ROOM);
    symlink(&target, store.path(&prefix)).expect("there is room");
    store.write(&prefix, &saved(b"new")).expect("there is room");
    assert_eq!(store.read(&prefix), Some(saved(b"new")));
    assert_eq!(fs::read(&target).expect("readable"), before);
    symlink(&target, folder.path().join(format!(".begun{PART_SUFFIX}"))).expect("there is room");
    assert_eq!((open(folder.path(), ROOM).stats().n_entries, names(folder.path()).len()), (2, 2));
}

#[test]
fn what_others_may_have_written_is_removed() {
    for mode in [0o660, 0o602, 0o604] {
        check_refused(mode, true, |path| fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours"));
    }
    // Only root can change the owner.
    let (_folder, path) = one(&tokens(0..9));
    if chown(&path, Some(us() + 1), None).is_ok() {
        check_refused("another owner", true, |path| chown(path, Some(us() + 1), None).expect("as before"));
    }
}

#[test]
fn what_is_no_file_is_removed_without_waiting() {
    check_refused("a socket", true, |path| {
        // The store's file names are too long for a socket's path.
        let short = path.with_file_name("s");
        std::os::unix::net::UnixListener::bind(&short).expect("there is room");
        fs::rename(short, path).expect("same disk");
    });
}

#[test]
fn nobody_else_may_look() {
    let parent = folder();
    let folder = parent.path().join("new/prefixes");
    let mut store = open(&folder, ROOM);
    write(&mut store, &tokens(0..9));
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&store.path(&tokens(0..9))), 0o600);
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("ours");
    check_read(&mut open(&folder, ROOM), &tokens(0..9));
    assert_eq!(mode(&folder), 0o700);
    // The mode is also restored while the daemon runs.
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).expect("ours");
    write(&mut store, &tokens(0..10));
    assert_eq!(mode(&folder), 0o700);
}

#[test]
fn a_folder_behind_a_link_is_used_but_not_restricted() {
    let parent = folder();
    let (target, link) = (parent.path().join("target"), parent.path().join("link"));
    fs::create_dir(&target).expect("there is room");
    symlink(&target, &link).expect("there is room");
    fs::set_permissions(&target, Permissions::from_mode(0o750)).expect("ours");
    let error = PrefixStore::open(&link, key("a"), ROOM).expect_err("too open");
    assert_eq!((error.kind(), mode(&target)), (io::ErrorKind::PermissionDenied, 0o750));
    fs::set_permissions(&target, Permissions::from_mode(0o700)).expect("ours");
    write(&mut open(&link, ROOM), &tokens(0..9));
    assert!(open(&target, ROOM).contains(&tokens(0..9)));
}

#[test]
fn a_folder_of_another_user_is_refused() {
    let (folder, other) = (folder(), if us() == 0 { 1 } else { 0 });
    // Root can give a folder away; other users look at one of root's.
    let theirs = chown(folder.path(), Some(other), None).map_or(Path::new("/"), |()| folder.path());
    // In a container with a single user, everything belongs to that user.
    if fs::metadata(theirs).expect("it is there").uid() == us() {
        return;
    }
    let error = PrefixStore::open(theirs, key("a"), ROOM).expect_err("not ours");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("another user"), "{error}");
}

#[test]
fn an_unusable_folder_is_an_error() {
    let parent = folder();
    let file = parent.path().join("file");
    write_raw(&file, b"");
    assert!(PrefixStore::open(&file, key("a"), ROOM).is_err());
    assert!(PrefixStore::open(&file.join("below"), key("a"), ROOM).is_err());
    // Modes do not restrict root.
    if us() != 0 {
        let (folder, _) = one(&tokens(0..9));
        let mut store = open(folder.path(), ROOM);
        write(&mut store, &tokens(0..8));
        fs::set_permissions(folder.path(), Permissions::from_mode(0o500)).expect("ours");
        store.write(&tokens(0..10), &saved(b"state")).expect_err("not writable");
        check_read(&mut open(folder.path(), ROOM), &tokens(0..9));
        PrefixStore::open(folder.path(), key("a"), 1000).expect_err("one is to go and cannot");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).expect("ours");
    }
}

#[test]
fn a_write_that_fails_leaves_nothing_and_the_store_works_on() {
    let prefix = tokens(0..10);
    let (folder, _) = one(&tokens(0..9));
    let mut store = open(folder.path(), ROOM);
    // A folder with the final name makes the very last step fail, after the whole file was written.
    let path = store.path(&prefix);
    fs::create_dir(&path).expect("there is room");
    store.write(&prefix, &saved(b"state")).expect_err("its name is taken");
    assert_eq!(names(folder.path()).len(), 2, "no left-over");
    assert_eq!((store.contains(&prefix), store.stats().n_entries), (false, 1));
    fs::remove_dir(&path).expect("empty");
    write(&mut store, &prefix);
    check_read(&mut store, &prefix);
    check_read(&mut store, &tokens(0..9));
}

#[test]
fn what_was_removed_meanwhile_counts_as_not_there() {
    let (folder, path) = one(&tokens(0..9));
    let mut store = open(folder.path(), ROOM);
    fs::remove_file(path).expect("it is there");
    assert_eq!(store.read(&tokens(0..9)), None);
    assert_eq!(store.find(&tokens(0..20), 0), None);
    write(&mut store, &tokens(0..9));
    // The whole folder may be gone too, with the file to be evicted.
    fs::remove_dir_all(folder.path()).expect("it is there");
    store.max_bytes = 700;
    write(&mut store, &tokens(0..10));
    check_read(&mut store, &tokens(0..10));
    assert_eq!(store.stats().n_entries, 1);
}

#[test]
fn another_daemon_may_write_the_same_prefix_anew() {
    let prefix = tokens(0..9);
    let (folder, _) = one(&prefix);
    let mut store = open(folder.path(), ROOM);
    let (other, path) = one(&prefix);
    fs::remove_file(path).expect("it is there");
    let mut other = open(other.path(), ROOM);
    other.write(&prefix, &saved(b"of another size")).expect("there is room");
    fs::rename(other.path(&prefix), store.path(&prefix)).expect("same disk");
    assert_eq!(store.read(&prefix), Some(saved(b"of another size")));
    assert_eq!(store.stats().n_bytes, 60 + 9 * 4 + 15 + 32);
    assert_eq!(open(folder.path(), ROOM).stats().n_bytes, store.stats().n_bytes);
}

#[test]
fn many_daemons_in_one_folder_never_read_anything_wrong() {
    let folder = folder();
    let live = || {
        for (round, n) in (0..40).flat_map(|round| (0..8).map(move |n| (round, n))) {
            // The limit is small, so that the daemons remove each other's files while some of them are starting.
            let mut store = open(folder.path(), 2500);
            let prefix = tokens([round % 3, n]);
            write(&mut store, &prefix);
            assert!(store.read(&prefix).is_none_or(|read| read == state(&prefix)));
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(live))));
    assert!(names(folder.path()).iter().all(|name| is_our_name(name)), "no left-over");
    let mut store = open(folder.path(), ROOM);
    let held: Vec<_> = store.entries.iter().map(|entry| entry.tokens.clone()).collect();
    held.iter().for_each(|prefix| check_read(&mut store, prefix));
    assert_eq!(store.stats().n_restored, store.stats().n_entries as u64);
}
