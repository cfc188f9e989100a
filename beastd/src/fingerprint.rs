//! Identifies the model in a file within milliseconds, without reading gigabytes.
//!
//! May know: files. Never knows: the contents of a model file, or what fingerprints are for.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use beast_launchd::file;
use sha2::{Digest, Sha256};

/// Bytes read at the beginning and at the end.
const EDGE: u64 = 1024 * 1024;
/// Bytes per block in between; the number of blocks follows.
const BLOCK: u64 = 16 * 1024;
const N_BLOCKS: u64 = 64;
/// Files up to this length are read as a whole, because the blocks would overlap.
const WHOLE: u64 = 2 * EDGE + N_BLOCKS * BLOCK;

/// SHA-256 over the file's length, its first MiB, its last MiB and 64 blocks of 16 KiB spread evenly in between; for
/// files up to 3 MiB, over the length and everything.
///
/// Detects a different model, a different quantization or fine-tune (which changes nearly all weights), a changed
/// header, and a truncated or extended file. Name, location and times do not matter.
///
/// Does not detect a few bytes changed in place between the blocks, by a disk error or by hand. Offers no protection
/// against deliberate collisions.
///
/// # Errors
/// When the path is not a regular file, cannot be read, or shrinks while being read.
pub fn fingerprint(path: &Path) -> io::Result<[u8; 32]> {
    let file = file::open(path)?;
    let len = file.metadata()?.len();
    let mut hasher = Sha256::new_with_prefix(len.to_le_bytes());
    let mut buffer = Vec::new();
    for (at, n_bytes) in pieces(len) {
        buffer.resize(n_bytes as usize, 0);
        file.read_exact_at(&mut buffer, at)?;
        hasher.update(&buffer);
    }
    Ok(hasher.finalize().into())
}

/// Offset and length of each piece to read from a file of `len` bytes, in order.
fn pieces(len: u64) -> Vec<(u64, u64)> {
    if len <= WHOLE {
        return vec![(0, len)];
    }
    // The first block follows the first MiB; the last one ends where the last MiB begins.
    let span = len - 2 * EDGE - BLOCK;
    let block = |n: u64| {
        let at = u128::from(span) * u128::from(n) / u128::from(N_BLOCKS - 1);
        (EDGE + at as u64, BLOCK)
    };
    let between = (0..N_BLOCKS).map(block);
    std::iter::once((0, EDGE)).chain(between).chain([(len - EDGE, EDGE)]).collect()
}

/// Lower-case hexadecimal, two digits per byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Too long to be read as a whole. No two blocks of `content` are equal.
    const LONG: u64 = 5 * EDGE + 4321;

    fn content(len: u64) -> Vec<u8> {
        (0..len).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect()
    }

    fn print_of(content: &[u8]) -> [u8; 32] {
        let file = tempfile::NamedTempFile::new().expect("there is room");
        fs::write(file.path(), content).expect("writable");
        fingerprint(file.path()).expect("readable")
    }

    fn changed_at(content: &[u8], at: u64) -> Vec<u8> {
        let mut changed = content.to_vec();
        changed[at as usize] ^= 1;
        changed
    }

    #[test]
    fn the_same_content_has_the_same_print_under_any_name() {
        for len in [0, 1, 1000, WHOLE, WHOLE + 1, LONG] {
            assert_eq!(print_of(&content(len)), print_of(&content(len)), "{len} bytes");
        }
    }

    #[test]
    fn a_byte_changed_at_an_edge_or_in_a_block_makes_another() {
        let content = content(LONG);
        let print = print_of(&content);
        let read: Vec<u64> = pieces(LONG).iter().flat_map(|&(at, n_bytes)| [at, at + n_bytes - 1]).collect();
        assert_eq!((read.first(), read.last()), (Some(&0), Some(&(LONG - 1))));
        for at in read {
            assert_ne!(print_of(&changed_at(&content, at)), print, "byte {at}");
        }
    }

    #[test]
    fn another_length_makes_another_even_when_all_else_is_equal() {
        let zeros = vec![0; LONG as usize + 1];
        assert_ne!(print_of(&zeros), print_of(&zeros[1..]));
        assert_ne!(print_of(&[]), print_of(&[0]));
        assert_ne!(print_of(&zeros[..WHOLE as usize]), print_of(&zeros[..WHOLE as usize + 1]));
    }

    #[test]
    fn every_byte_of_a_small_file_counts() {
        let small = content(300);
        let print = print_of(&small);
        for at in 0..300 {
            assert_ne!(print_of(&changed_at(&small, at)), print, "byte {at}");
        }
        let whole = content(WHOLE);
        let print = print_of(&whole);
        for at in (0..WHOLE).step_by(300_007) {
            assert_ne!(print_of(&changed_at(&whole, at)), print, "byte {at}");
        }
    }

    #[test]
    fn what_lies_between_the_blocks_is_not_seen() {
        // The doc comment states this limit; if this test fails, the comment promises too little.
        let content = content(LONG);
        assert_eq!(print_of(&changed_at(&content, EDGE + BLOCK + 1)), print_of(&content));
    }

    #[test]
    fn the_pieces_are_apart_in_order_and_within_the_file() {
        for len in [WHOLE + 1, WHOLE + 63, LONG, 1_642_000_001, u64::MAX] {
            let pieces = pieces(len);
            assert_eq!(pieces.len() as u64, N_BLOCKS + 2);
            assert_eq!(pieces.iter().map(|(_, n_bytes)| n_bytes).sum::<u64>(), WHOLE);
            assert!(pieces.is_sorted_by(|a, b| a.0 + a.1 <= b.0), "{len} bytes: {pieces:?}");
            let (last, n_bytes) = pieces[pieces.len() - 1];
            assert_eq!(last + n_bytes, len);
        }
    }

    #[test]
    fn gigabytes_are_not_read() {
        // A sparse file: reading all of it would take seconds and fill the page cache.
        let file = tempfile::NamedTempFile::new().expect("there is room");
        file.as_file().set_len(8 << 30).expect("a hole needs no room");
        let print = fingerprint(file.path()).expect("readable");
        file.as_file().write_all_at(b"x", (8 << 30) - 1).expect("writable");
        assert_ne!(fingerprint(file.path()).expect("readable"), print);
    }

    #[test]
    fn what_is_no_file_is_an_error() {
        let folder = tempfile::tempdir().expect("there is room");
        assert!(fingerprint(folder.path()).is_err());
        let missing = fingerprint(&folder.path().join("missing")).expect_err("it is not there");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_link_stands_for_the_file_behind_it() {
        let folder = tempfile::tempdir().expect("there is room");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "GGUF").expect("writable");
        std::os::unix::fs::symlink(&file, &link).expect("there is room");
        assert_eq!(fingerprint(&link).expect("readable"), fingerprint(&file).expect("readable"));
    }

    #[test]
    fn digits_are_two_a_byte() {
        assert_eq!(hex(&[0x00, 0x0a, 0xff]), "000aff");
        assert_eq!(hex(&[]), "");
    }

    /// Cached prefixes must be found after an update of beastd, so the algorithm must not change by accident.
    #[test]
    fn the_recipe_stays() {
        assert_eq!(hex(&print_of(&content(300))), "58e1a80f492f0646300797813f138561d076cae55b4d8c905f29423afb9e0b47");
        assert_eq!(hex(&print_of(&content(LONG))), "df57375c4e87b2dbfea88e18e9a76437c33b2dcbcae6992719462077104bf61b");
    }
}
