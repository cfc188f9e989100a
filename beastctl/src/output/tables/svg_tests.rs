use expect_test::expect;

use super::*;
use crate::output::tables::{Samples, tests::sample};

/// Parses the tags of a file as strictly as a browser, as far as our files use them: all tags are closed in order,
/// attributes are quoted, and text contains no tag characters. Returns the greatest depth.
fn check_well_formed(xml: &str) -> usize {
    let (mut open, mut deepest, mut rest) = (Vec::new(), 0, xml);
    while let Some((text, tail)) = rest.split_once('<') {
        check_text(text);
        let (tag, tail) = tail.split_once('>').expect("a tag ends");
        rest = tail;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed in order");
            continue;
        }
        let body = tag.strip_suffix('/').unwrap_or(tag);
        let (name, attributes) = body.split_once(' ').unwrap_or((body, ""));
        assert!(name.chars().all(|c| c.is_ascii_lowercase()), "{name}");
        check_attributes(attributes);
        if body == tag {
            open.push(name);
            deepest = deepest.max(open.len());
        }
    }
    check_text(rest);
    assert!(open.is_empty(), "left open: {open:?}");
    deepest
}

fn check_attributes(attributes: &str) {
    let mut parts = attributes.split('"');
    while let Some(name) = parts.next().filter(|name| !name.is_empty()) {
        assert!(name.trim_start().ends_with('='), "{attributes}");
        check_text(parts.next().expect("a value has two quotes"));
    }
}

fn check_text(text: &str) {
    assert!(!text.contains('>') && text.chars().all(|c| !c.is_control() || c == '\n'), "{text:?}");
    let ends = |tail: &str| ["amp;", "lt;", "gt;", "quot;", "apos;"].iter().any(|entity| tail.starts_with(entity));
    assert!(text.split('&').skip(1).all(ends), "{text:?}");
}

#[test]
fn a_chart_has_bars_and_words() {
    let chart = chart("beast, a <model>", &["AMD EPYC, 2 cores".into(), "today".into()], &[sample()]);
    check_well_formed(&chart);
    let body = chart.split("</style>").nth(1).unwrap();
    expect![[r#"

        <rect class="page" width="860" height="294"/>
        <text class="title" x="24" y="32">beast, a &lt;model&gt;</text>
        <text class="faint" x="24" y="52">AMD EPYC, 2 cores</text>
        <text class="faint" x="24" y="72">today</text>
        <text class="name" x="24" y="112">speculation: what guessing brings</text>
        <text class="faint" x="24" y="136">writing &lt;an&gt; answer &amp; more, tokens/s</text>
        <g><text class="label" x="24" y="158">off</text><rect class="bar" x="230" y="147" width="131.1" height="14" rx="2"/><line class="spread" x1="359.9" y1="154" x2="362.3" y2="154"/><text class="label" x="370" y="158">21.7 (21.5..21.9) x1.00</text></g>
        <g><title>60 of 80 right (75 %)</title><text class="label" x="24" y="180">lookup</text><rect class="chosen" x="230" y="169" width="362.4" height="14" rx="2"/><line class="spread" x1="580.4" y1="176" x2="600.0" y2="176"/><text class="label" x="608" y="180">60.0 (58.0..61.2) x2.76</text></g>
        <g><text class="label" x="24" y="202">draft</text><text class="faint" x="230" y="202">no draft model</text>
        </g>
        <g><text class="label" x="24" y="224">other</text><text class="faint" x="230" y="224">not measured: beastd ended before the answer did</text>
        </g>
        <text class="faint" x="24" y="248">first token, ms, less is better</text>
        <g><text class="label" x="24" y="270">a single one</text><text class="label" x="230" y="270">0.12</text></g>
        </svg>
    "#]].assert_eq(body);
}

#[test]
fn it_stands_alone_and_follows_the_page() {
    let chart = chart("title", &[], &[sample()]);
    assert!(chart.contains("@media (prefers-color-scheme: dark)") && chart.contains("width=\"860\""));
    assert!(!chart.contains("<script") && !chart.contains("href") && !chart.contains("url("));
}

#[test]
fn words_of_others_stay_words() {
    assert_eq!(escaped("a<b>&\"c'\u{1b}[31m\u{0}d\u{ffff}é…"), "a&lt;b&gt;&amp;&quot;c&apos;[31mdé…");
    let evil = "</text><script>alert(\"1\" & '2')</script>\u{7}\n\u{85}";
    let mut table = Table::failed("x", evil, evil.into());
    let row = |label: &str| Row::new(label, Samples::from_iter([1.0])).with("k", evil, evil);
    table.groups.push(Group { rows: vec![row(evil), Row::failed(evil, evil)], ..Group::new("g", evil, "ms") });
    let chart = chart(evil, &[evil.into()], &[table]);
    assert_eq!(check_well_formed(&chart), 3);
    assert!(!chart.contains("<script"));
}

/// A chart without data is still a valid file, and numbers that cannot be drawn do not break it.
#[test]
fn the_edges_can_be_drawn() {
    check_well_formed(&chart("", &[], &[]));
    let row = |n| Row::new("", Samples::from_iter([n]));
    let rows = vec![row(0.0), row(-3.0), row(1e300), Row::new("empty", Samples::default())];
    let group = |rows| Group { rows, ..Group::new("g", "", "ms") };
    let table = Table { groups: vec![group(rows), group(vec![row(0.0), row(0.0)])], ..Table::default() };
    let chart = chart("", &[], &[table]);
    check_well_formed(&chart);
    assert!(!chart.contains("NaN") && !chart.contains("inf"), "{chart}");
}

#[test]
fn what_is_too_long_for_its_place_is_shortened() {
    assert_eq!([shortened("abcd", 4), shortened("abcde", 4)], ["abcd", "abc…"]);
}
