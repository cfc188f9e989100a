use std::io::Read;

use expect_test::expect;

use super::*;

fn read_all(sources: &[(&str, &[u8])], limit: usize) -> Result<Input, String> {
    let mut input = Input::default();
    for (name, bytes) in sources {
        input.add(name, *bytes, sources.len() > 1, limit).map_err(|error| error.to_string())?;
    }
    Ok(input)
}

#[test]
fn text_stays_as_it_is() {
    let text = "\r\n Grüße\r\n\n";
    assert_eq!(read_all(&[("a", text.as_bytes())], 100), Ok(Input { text: text.into(), warnings: Vec::new() }));
}

#[test]
fn a_byte_order_mark_goes_and_only_that_of_a_beginning() {
    let input = read_all(&[("a", b"\xef\xbb\xbfone\xef\xbb\xbf"), ("b", b"\xef\xbb\xbftwo")], 100).unwrap();
    assert_eq!(input.text, "==> a <==\none\u{feff}\n\n==> b <==\ntwo\n");
}

#[test]
fn each_invalid_byte_is_counted() {
    let input = read_all(&[("a", b"\xff"), ("b", b"x\xe2\x82 \xe9y")], 100).unwrap();
    expect![[r#"
        [
            "1 byte of invalid UTF-8 was replaced in a",
            "3 bytes of invalid UTF-8 were replaced in b",
        ]
    "#]]
    .assert_debug_eq(&input.warnings);
}

#[test]
fn the_limit_itself_is_allowed_and_counts_headings() {
    assert!(read_all(&[("a", b"12345")], 5).is_ok());
    let error = read_all(&[("a", b"123456")], 5).unwrap_err();
    expect!["the input is more than 5 B, and one request holds at most 5 B; try: send a part of it, for example with head -c"].assert_eq(&error);
    assert!(read_all(&[("a", b"1"), ("b", b"1")], 25).is_ok());
    assert!(read_all(&[("a", b"1"), ("b", b"1234")], 25).is_err());
}

/// A reader without an end, which counts the bytes requested from it.
struct Endless(usize);

impl Read for Endless {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        bytes.fill(b'y');
        self.0 += bytes.len();
        Ok(bytes.len())
    }
}

#[test]
fn an_endless_source_is_read_up_to_the_limit() {
    let mut endless = Endless(0);
    let outcome = Input::default().add("a", &mut endless, false, 1_000_000);
    assert!(matches!(outcome, Err(InputError::TooLong { known: None, .. })));
    assert_eq!(endless.0, 1_000_001);
}

#[test]
fn a_nul_byte_is_found_wherever_it_is() {
    let mut bytes = vec![b'a'; 200_000];
    bytes.push(0);
    let error = read_all(&[("a", &bytes)], 1_000_000).unwrap_err();
    expect!["a is binary (a NUL byte at offset 200000)"].assert_eq(&error);
}

#[test]
fn blank_is_more_than_empty() {
    for (text, is_blank) in [("", true), (" \n\t\u{a0}", true), ("\n.", false)] {
        assert_eq!(Input { text: text.into(), warnings: Vec::new() }.is_blank(), is_blank, "{text:?}");
    }
}

#[test]
fn the_mark_of_another_encoding_is_understood() {
    let hint = |bytes: &[u8]| Input::default().add("a", bytes, false, 100).unwrap_err().hint().unwrap_or_default();
    assert!(hint(b"\xff\xfea\0").ends_with("iconv -f UTF-16 -t UTF-8"));
    assert!(hint(b"\xfe\xff\0a").ends_with("iconv -f UTF-16 -t UTF-8"));
    assert!(hint(b"\xff\xfe\0\0a\0\0\0").ends_with("iconv -f UTF-32 -t UTF-8"));
    assert!(hint(b"a\0").contains("pdftotext"));
}
