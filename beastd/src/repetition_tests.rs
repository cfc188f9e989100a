use proptest::prelude::*;

use super::*;

/// Words, digits and all other characters as tokens.
fn tokens(text: &str) -> Vec<Token> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |text: &str| text.starts_with(char::is_alphabetic);
        let n = match first {
            c if c.is_ascii_digit() => 1,
            // As in tokenizers, the blank before a word belongs to it.
            ' ' if is_word(&rest[1..]) => 1 + rest[1..].find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len() - 1),
            c if c.is_alphabetic() => rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        words.push(&rest[..n]);
        rest = &rest[n..];
    }
    words.into_iter().map(token).collect()
}

/// The token of a word: a hash that also encodes its kind. Blanks around it do not matter.
fn token(word: &str) -> Token {
    if word == "\n" {
        return LINE;
    }
    let word = word.trim();
    let hash = word.bytes().fold(17u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    let hash = i32::try_from(hash % (1 << 28)).expect("it is small enough");
    let kind = match word.bytes().last() {
        None => return BLANK,
        Some(b'0'..=b'9') => 0,
        Some(b'a'..=b'z' | b'A'..=b'Z') => 1,
        Some(_) => 2,
    };
    Token(3 * hash + kind)
}

const BLANK: Token = Token(-1);
const LINE: Token = Token(-2);

fn unit(token: Token) -> Option<Unit> {
    let kind = [Kind::Number, Kind::Word, Kind::Other][usize::try_from(token.0 % 3).ok()?];
    Some(Unit { hash: token.0.unsigned_abs().into(), kind })
}

/// A detected loop.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// Tokens until it was detected.
    n: usize,
    /// Tokens that were shown.
    n_shown: usize,
    period: usize,
}

fn circle(prompt: &str, answer: &str) -> Option<Found> {
    of(&tokens(prompt), tokens(answer))
}

fn of(prompt: &[Token], answer: impl IntoIterator<Item = Token>) -> Option<Found> {
    let mut repetition = Repetition::new(prompt);
    let mut n_shown = 0;
    for (n, token) in (1..).zip(answer) {
        match repetition.push(token, token == LINE, unit) {
            Verdict::Fine => n_shown = n,
            Verdict::Twice | Verdict::Suspect => {}
            Verdict::Circle { period } => return Some(Found { n, n_shown, period }),
        }
    }
    None
}

#[test]
fn a_word_for_ever_is_a_circle() {
    let found = circle("", &"file.".repeat(400)).expect("it is one");
    assert_eq!(found.period, 2);
    assert!(found.n < 250 && found.n_shown < 60, "{found:?}");
}

#[test]
fn two_copies_are_shown_and_three_of_short_lines() {
    let text = "tar unpacks archives. It knows several formats. ";
    for (copy, n_copies) in [
        ("The file is then saved to the disk, and what was there before is gone for good. ", 2),
        ("- the name of the file\n", 3),
        ("- file\n", 5),
    ] {
        let found = circle("", &(text.to_owned() + &copy.repeat(110))).expect("it is one");
        assert!(found.n_shown <= tokens(text).len() + n_copies * tokens(copy).len(), "{copy}: {found:?}");
    }
}

#[test]
fn what_was_no_circle_after_all_is_shown() {
    let text = "The file is then saved to the disk, and what was there before is gone. ".repeat(3) + "Then it is read.";
    let mut repetition = Repetition::new(&[]);
    let verdicts: Vec<_> = tokens(&text).into_iter().map(|token| repetition.push(token, token == LINE, unit)).collect();
    assert!(verdicts.contains(&Verdict::Twice) && verdicts.contains(&Verdict::Suspect));
    assert_eq!(verdicts.last(), Some(&Verdict::Fine));
}

#[test]
fn copies_may_be_wrapped_differently() {
    let sentence = "you would not need to agree to the terms of service (the \"LSDS\") for those products, but ";
    let mut text = sentence.repeat(10);
    for at in (70..text.len()).step_by(71) {
        let blank = text[..at].rfind(' ').expect("it has blanks");
        text.replace_range(blank..=blank, "\n");
    }
    let found = circle("", &text).expect("it is one");
    assert!(found.n_shown < 3 * tokens(sentence).len(), "{found:?}");
}

#[test]
fn long_periods_are_found_at_their_third_copy() {
    let period: String = (0..75).map(|n| format!("word{};", "x".repeat(n))).collect();
    let n_period = tokens(&period).len();
    let found = circle("", &period.repeat(5)).expect("it is one");
    assert_eq!(found.period, n_period);
    assert!(found.n <= 3 * n_period + GRAM && found.n_shown <= 2 * n_period + GRAM, "{found:?} of {n_period}");
}

#[test]
fn numbers_that_are_scattered_in_the_prompt_allow_no_row_of_them() {
    let log = "install zlib 1.2.13 over 1.2.11, libc 2.36.9 over 2.36.8, done. ".repeat(40);
    assert!(circle(&log, &format!("It installs version 1.0{}", ".1".repeat(300))).is_some());
    assert!(circle(&format!("Continue: {}", ".1".repeat(300)), &format!("1{}", ".1".repeat(200))).is_none());
}

#[test]
fn two_sentences_in_turn_that_differ_by_a_word_are_a_circle() {
    let sentence = |flag: &str, verb: &str| {
        format!(
            "The program also uses the archiver with `{flag}` to {verb} a file. This is what allows the command to work on it.\n\n"
        )
    };
    let both = sentence("r", "specify") + &sentence("d", "create");
    let found = circle("", &both.repeat(5)).expect("it is one");
    assert!(found.n_shown < 3 * tokens(&both).len(), "{found:?}");
}

#[test]
fn a_word_is_held_back_when_it_comes_for_the_seventh_time() {
    let found = circle("", &"audio ".repeat(400)).expect("it is one");
    assert!(found.n_shown <= 6, "{found:?}");
}

#[test]
fn a_list_that_only_counts_is_a_circle() {
    let item = |n: u32| format!("{n}. The user opens the file and reads what is in it.\n");
    assert!(circle("", &(1..100).map(item).collect::<String>()).is_some());
}

#[test]
fn a_few_words_that_change_in_turn_are_a_circle() {
    let line = |n: usize| {
        let colour = ["red", "green"][n % 2];
        format!(
            "The {colour} file that the program has saved to the disk is then read again by the other program and is \
            saved to the disk once more. "
        )
    };
    assert!(circle("", &(0..60).map(line).collect::<String>()).is_some());
}

/// What a small model said when it was asked about tar: nothing repeats next to itself for long.
fn paragraphs(n: usize) -> String {
    let of_tar = [
        "The tar command is used to remove and decompress tar archives",
        "Tar is a command that is used to extract files",
        "In the context of Linux it is a program for archives of several files",
    ];
    let with =
        ["which can contain sensitive data such as the names of files", "which are files that contain other files"];
    let then = "This command is often used to remove and delete tar archives, which can be a security risk.";
    (0..n).map(|n| format!("{}, {}. {then}\n\n", of_tar[n * n % 3], with[n / 2 % 2])).collect()
}

#[test]
fn the_same_sentences_in_any_order_are_a_circle() {
    let found = circle("", &paragraphs(30)).expect("it is one");
    assert!(found.n < 500 && found.n_shown < 250, "{found:?}");
    assert_eq!(circle("", &paragraphs(5)), None);
    assert_eq!(circle(&paragraphs(6), &paragraphs(12)), None, "what the prompt says may be said again");
}

/// `BEAST_CORPUS=FOLDER cargo test …` counts false alarms in real files, which nobody would call loops.
#[test]
fn real_files_are_none() {
    const MAX_BYTES: u64 = 300_000;
    let Some(folder) = std::env::var_os("BEAST_CORPUS") else {
        return beast_tests::skip("BEAST_CORPUS names no folder");
    };
    let (mut folders, mut n, mut alarms) = (vec![std::path::PathBuf::from(folder)], 0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && entry.metadata().is_ok_and(|file| (2_000..MAX_BYTES).contains(&file.len())) {
                let Ok(text) = std::fs::read_to_string(&path) else { continue };
                for piece in tokens(&text).chunks(1024).take(6).filter(|piece| piece.len() >= 200) {
                    n += 1;
                    alarms.extend(of(&[], piece.iter().copied()).map(|found| (path.clone(), found)));
                }
            }
        }
    }
    eprintln!("{} alarms in {n} pieces: {alarms:#?}", alarms.len());
    assert!(n > 0 && 500 * alarms.len() <= n, "more than one alarm in 500 pieces");
}

#[test]
fn what_is_asked_for_now_and_then_is_none() {
    for (name, text) in [
        (
            "a log",
            (0..60).map(|n| format!("12:00:{n:02} host systemd[1]: Started the daily cleanup of folders.\n")).collect(),
        ),
        ("yes", "yes\n".repeat(50)),
        ("a ruler", "-".repeat(120)),
        ("zeros", "0, ".repeat(60)),
        (
            "a song",
            "Row, row, row your boat, gently down the stream. Merrily, merrily, life is but a dream.\n".repeat(4),
        ),
        ("numbers", (1..400).map(|n| format!("{n}\n")).collect()),
        ("squares", (1..200).map(|n| format!("| {n} | {} |\n", n * n)).collect()),
        ("cases", (1..100).map(|n| format!("case {n}: return {n};\n")).collect()),
    ] {
        assert_eq!(circle("", &text), None, "{name}");
    }
}

#[test]
fn objects_with_names_of_their_own_are_none() {
    let object = |n: u32| {
        let name: String =
            (0..6).map(|k| char::from(b'a' + u8::try_from((n * 7 + k * n) % 26).expect("a letter"))).collect();
        format!("{{\"name\": \"{name}\", \"kind\": \"file\", \"is_open\": true, \"size\": {}}},\n", n * 37 % 1000)
    };
    assert_eq!(circle("", &(0..200).map(object).collect::<String>()), None);
}

#[test]
fn what_repeats_in_the_prompt_may_repeat_in_the_answer() {
    let line = |n: u32| format!("{n:02} The daily cleanup of all temporary folders has started as it was planned.\n");
    let log: String = (0..60).map(line).collect();
    assert!(circle("", &log).is_some());
    assert_eq!(circle(&log, &log), None);
    // But not without limit.
    assert!(circle(&log, &log.repeat(3)).is_some());
}

proptest! {
    /// Any exact repetition is detected, whatever precedes it.
    #[test]
    fn any_period_is_found(
        before in prop::collection::vec(0..500i32, 0..200),
        period in prop::collection::vec(0..500i32, 1..120),
    ) {
        let n_period = period.len();
        let answer = before.into_iter().chain(period.into_iter().cycle().take(6 * n_period.max(64)));
        prop_assert!(of(&[], answer.map(Token)).is_some());
    }

    /// Random words are no loop.
    #[test]
    fn any_text_without_order_is_none(answer in prop::collection::vec(0..40i32, 0..3000)) {
        prop_assert_eq!(of(&[], answer.into_iter().map(Token)), None);
    }
}
