use super::*;

#[test]
fn the_bytes_of_hello_are_frozen() {
    let hello = Hello { protocol: 1, version: "0.1.0".into() };
    assert_eq!(hello.to_bytes(), b"BSTH\x01\0\0\0\x050.1.0");
    assert_eq!(Hello::from_bytes(b"BSTH\x01\0\0\0\x050.1.0"), Ok(hello));
}

#[test]
fn the_bytes_of_welcome_are_frozen() {
    let welcome = Welcome { protocol: 7, version: "2.0".into(), pid: 258 };
    assert_eq!(welcome.to_bytes(), b"BSTW\x07\0\0\0\x032.0\x02\x01\0\0");
    assert_eq!(Welcome::from_bytes(b"BSTW\x07\0\0\0\x032.0\x02\x01\0\0"), Ok(welcome));
}

#[test]
fn what_a_later_version_adds_to_the_end_is_ignored() {
    let mut bytes = Welcome::current("9.9", 1).to_bytes();
    bytes.extend(b"something new");
    assert_eq!(Welcome::from_bytes(&bytes), Ok(Welcome::current("9.9", 1)));
}

#[test]
fn a_handshake_cut_at_any_byte_is_refused() {
    let bytes = Welcome::current("0.1.0", 4711).to_bytes();
    for n in 0..bytes.len() {
        let expected = if n < 4 { HandshakeError::Magic } else { HandshakeError::Malformed };
        assert_eq!(Welcome::from_bytes(&bytes[..n]), Err(expected), "cut after {n} bytes");
    }
}

#[test]
fn another_protocol_is_told_apart_from_damage() {
    assert_eq!(Hello::from_bytes(b"GET / HTTP/1.1\r\n"), Err(HandshakeError::Magic));
    assert_eq!(Hello::from_bytes(b"BSTH\x01\0\0\0\x02\xff\xfe"), Err(HandshakeError::Malformed));
}

#[test]
fn a_version_too_long_for_its_length_byte_is_cut_at_a_character() {
    let hello = Hello { protocol: 1, version: "é".repeat(200) };
    assert_eq!(Hello::from_bytes(&hello.to_bytes()).map(|hello| hello.version), Ok("é".repeat(127)));
}
