use expect_test::expect;

use super::*;

/// A changed file per character; `-` stands for a generated one.
pub(crate) fn texts(wanted: &str) -> Vec<Change> {
    let change = |(n, c)| Change {
        status: b'M',
        modes: ["100644".into(), "100644".into()],
        is_same: false,
        from: None,
        path: format!("f{n}").into_bytes(),
        lines: Some([4, 5]),
        is_generated: c == '-',
    };
    wanted.chars().enumerate().map(change).collect()
}

/// Parses git's output, with `|` for NUL.
fn parsed(text: &str) -> Option<Vec<Change>> {
    parse(text.replace('|', "\0").as_bytes())
}

#[test]
fn each_kind_of_change_has_its_line() {
    let changes = parsed(
        ":000000 100644 00 e6 A|empty|:000000 100644 00 e7 A|src/a.rs|:100644 000000 01 00 D|old.rs|\
         :100644 100755 02 02 M|run.sh|:100644 100755 03 03 R100|was|is|:100644 100644 04 05 R090|b|c|\
         :100644 100644 06 07 M|logo.png|:100644 120000 08 09 T|link|:100644 100644 0a 0a R100|x.png|y.png|\
         0\t0\tempty|3\t0\tsrc/a.rs|0\t1\told.rs|0\t0\trun.sh|0\t0\t|was|is|1\t2\t|b|c|-\t-\tlogo.png|1\t1\tlink|\
         -\t-\t|x.png|y.png|",
    )
    .unwrap();
    let told: Vec<String> = changes.iter().map(|change| change.line().unwrap_or_else(|| "(its diff)".into())).collect();
    expect![[r#"
        empty: empty file added
        (its diff)
        old.rs: deleted (1 line)
        run.sh: mode changed from 100644 to 100755
        is: renamed from was, mode changed from 100644 to 100755
        (its diff)
        logo.png: binary file changed
        (its diff)
        y.png: renamed from x.png"#]]
    .assert_eq(&told.join("\n"));
    assert_eq!(changes[1].counts("left out"), "src/a.rs: 3 lines added, 0 removed, left out");
    assert_eq!(changes[7].n_sections(), 2);
}

#[test]
fn a_path_may_look_like_an_entry_and_stays_on_its_line() {
    let changes = parsed(":000000 100644 00 e6 A|:a\nb|2\t0\t:a\nb|").unwrap();
    assert_eq!(changes[0].path, b":a\nb");
    assert_eq!(show(&changes[0].path), ":a\\nb");
    assert_eq!(show(b"\xff\x1b[m"), "\u{fffd}\\u{1b}[m");
}

#[test]
fn what_breaks_off_is_no_list() {
    for text in [
        ":100644",
        ":000000 100644 00 e6 A|",
        ":000000 100644 00 e6 A|a|",
        ":000000 100644 00 e6 R100|a|",
        ":1 2 3 4 M|a|1|",
    ] {
        assert_eq!(parsed(text), None, "{text}");
    }
    assert_eq!(parsed(""), Some(Vec::new()));
}

#[test]
fn files_of_programs_are_known_by_their_names() {
    for name in ["Cargo.lock", "web/yarn.lock", "a/b.min.js", "app.css.map", "x.snap", "go.sum"] {
        assert!(is_generated(name.as_bytes()), "{name}");
    }
    for name in ["Cargo.lock.rs", "lock", "min.js", "map", "Cargo.lock/a.rs"] {
        assert!(!is_generated(name.as_bytes()), "{name}");
    }
}
