use super::*;

fn index(folder: &Path, model: &Model) -> Index {
    let path = folder.join("a.vectors");
    let bytes = fs::read(&path).unwrap_or_default();
    let vectors = parse(&bytes, model.fingerprint.as_ref().unwrap(), model.n_dims).unwrap_or_default();
    Index { path, model: model.clone(), vectors }
}

fn model(byte: u8) -> Model {
    Model { fingerprint: Some([byte; 32]), n_dims: 3 }
}

#[test]
fn what_is_saved_is_found_again_for_the_same_model_only() {
    let folder = tempfile::tempdir().unwrap();
    let present: [(Hash, &[f32]); 2] = [(hash("a"), &[1.0, 0.0, 0.0]), (hash("b"), &[0.0, 0.6, -0.8])];
    index(folder.path(), &model(1)).save(&present).unwrap();
    let read = index(folder.path(), &model(1));
    assert_eq!(read.get(&hash("b")), Some(&[0.0, 0.6, -0.8][..]));
    assert_eq!(read.get(&hash("c")), None);
    assert!(index(folder.path(), &model(2)).vectors.is_empty());
    assert!(index(folder.path(), &Model { n_dims: 4, ..model(1) }).vectors.is_empty());
    // Vectors of texts that are gone are dropped.
    read.save(&present[..1]).unwrap();
    assert_eq!(index(folder.path(), &model(1)).vectors.len(), 1);
}

#[test]
fn a_damaged_file_is_as_good_as_none() {
    let folder = tempfile::tempdir().unwrap();
    index(folder.path(), &model(1)).save(&[(hash("a"), &[1.0, 0.0, 0.0])]).unwrap();
    let whole = fs::read(folder.path().join("a.vectors")).unwrap();
    let parse = |bytes: &[u8]| parse(bytes, &[1; 32], 3);
    assert!(parse(&whole).is_some());
    for len in 0..whole.len() {
        // Truncated after the header, it contains no vectors.
        assert!(parse(&whole[..len]).is_none_or(|vectors| vectors.is_empty()), "{len}");
    }
    let mut broken = whole.clone();
    let end = broken.len() - 4;
    broken[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert_eq!(parse(&broken), None);
}

#[test]
fn the_oldest_files_go_first() {
    let folder = tempfile::tempdir().unwrap();
    for (nth, name) in (0..).zip(["a.vectors", "b.vectors", "c.vectors", "other"]) {
        let path = folder.path().join(name);
        fs::write(&path, [0; 100]).unwrap();
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000 + nth);
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }
    shrink(folder.path(), 250).unwrap();
    let left = |name: &str| folder.path().join(name).exists();
    assert_eq!(["a.vectors", "b.vectors", "c.vectors", "other"].map(left), [false, true, true, true]);
}
