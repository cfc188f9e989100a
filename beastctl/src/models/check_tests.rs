use super::*;

#[test]
fn the_hash_is_the_known_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("abc");
    std::fs::write(&path, "abc").unwrap();
    let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256(&path, |_| Ok(())).unwrap(), known);
    assert_eq!(as_sha256(&format!("\"{}\"", known.to_uppercase())).as_deref(), Some(known));
    assert_eq!(as_sha256("\"5f3a-1\""), None);
    assert_eq!(as_sha256(&"g".repeat(64)), None);
}

#[test]
fn only_gguf_is_gguf() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.gguf");
    for (bytes, is_gguf) in
        [("GGUF and more", true), ("GGUF\x03\0\0\0", false), ("GGU", false), ("", false), ("<html>", false)]
    {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(gguf(&path).is_ok(), is_gguf, "{bytes}");
    }
    assert!(matches!(gguf(dir.path()), Err(ModelError::File { .. })));
}
