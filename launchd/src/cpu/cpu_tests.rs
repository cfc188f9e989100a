use expect_test::{Expect, expect};

use super::*;

fn check(missing: &[&str], expect: Expect) {
    let mut said = Vec::new();
    say(&mut said, "beastd", &|set| missing.contains(&set.feature)).unwrap();
    expect.assert_eq(&String::from_utf8(said).unwrap());
}

#[test]
fn what_is_missing_is_named_with_a_remedy_that_helps() {
    check(
        &["avx512f", "avx512vnni"],
        expect![[r#"
            beastd: this program was built for a CPU with AVX-512F, AVX-512VNNI, which this one lacks; try: install the package of beast, or build it on this machine from source: make build
        "#]],
    );
    // A feature that packages need too.
    check(
        &["avx2", "avx512f"],
        expect![[r#"
            beastd: this program was built for a CPU with AVX2, AVX-512F, which this one lacks; try: build it on this machine from source: make build
        "#]],
    );
}

#[test]
fn a_cpu_has_what_it_says_and_what_the_system_saves() {
    let set = |feature: &str| arch::SETS.iter().find(|set| set.feature == feature).unwrap();
    let needed = |others: &[&str]| arch::SETS.iter().filter(|set| !set.is_needed && is_needed(set, others)).count();
    assert_eq!(needed(&["no such set"]), 0);
    for other in arch::SETS.iter().filter(|set| !set.is_needed) {
        assert_eq!(needed(&[other.feature]), 1, "{}", other.feature);
    }
    // Linux reports the same features under other names.
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let Some(flags) = flags.lines().find(|line| line.starts_with("flags")) else { return };
    let cpu = arch::cpu();
    for (feature, flag) in [
        ("sse3", "pni"),
        ("popcnt", "popcnt"),
        ("lzcnt", "abm"),
        ("bmi2", "bmi2"),
        ("f16c", "f16c"),
        ("fma", "fma"),
        ("avx", "avx"),
        ("avx2", "avx2"),
        ("gfni", "gfni"),
        ("avxvnni", "avx_vnni"),
        ("avx512f", "avx512f"),
        ("avx512vl", "avx512vl"),
        ("avx512vnni", "avx512_vnni"),
        ("avx512vbmi2", "avx512_vbmi2"),
        ("avx512bf16", "avx512_bf16"),
    ] {
        let is_there = flags.split_whitespace().any(|word| word == flag);
        assert_eq!(arch::has(&cpu, set(feature).place), is_there, "{feature}");
    }
}

#[test]
fn this_machine_runs_what_was_built_on_it() {
    require("this test", &[], 1);
}
