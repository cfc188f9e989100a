use super::*;

fn parse(line: &str) -> Result<Option<Args>> {
    Args::parse(line.split_whitespace().map(OsString::from))
}

#[test]
fn everything_can_be_asked_for() {
    let line = "--model m.gguf --peers bin --group peers --draft d.gguf --threads 8 --repeats 5 --repeats 3 \
        --only idle --only speed --json o.json --force";
    let expected = Args {
        model: "m.gguf".into(),
        peers: Some("bin".into()),
        group: "peers".into(),
        draft: Some("d.gguf".into()),
        n_threads: 8,
        n_repeats: 3,
        only: vec!["idle".into(), "speed".into()],
        json: Some("o.json".into()),
        is_forced: true,
    };
    assert_eq!(parse(line).unwrap(), Some(expected));
}

#[test]
fn without_a_group_it_is_our_own() {
    let args = parse("--model m.gguf").unwrap().unwrap();
    assert_eq!((args.group.as_str(), args.draft), ("own", None));
}

#[test]
fn help_names_the_measurements_of_each_group() {
    let text = help(&[("own", vec!["speed", "idle"]), ("peers", vec!["between"])]);
    assert!(text.ends_with("Measurements of group own: speed, idle\nMeasurements of group peers: between\n"), "{text}");
}

#[test]
fn help_wins() {
    assert_eq!(parse("--model m.gguf --help").unwrap(), None);
}

#[test]
fn mistakes_are_named() {
    for (line, part) in [
        ("", "--model is missing"),
        ("--model", "--model needs a value"),
        ("--model m --threads two", "--threads needs a number"),
        ("--model m --repeats 0", "--repeats needs at least 1"),
        ("--modle m", "what is `--modle`"),
        ("--model m --group", "--group needs a value"),
    ] {
        let error = parse(line).unwrap_err().to_string();
        assert!(error.contains(part), "{line}: {error}");
    }
}
