use super::*;

fn parsed(text: &str) -> Result<Vec<UpstreamConfig>, String> {
    let mut table: Table = text.parse().unwrap();
    parse(table.remove(TABLE).unwrap(), Path::new("config.toml")).map_err(|error| error.to_string())
}

#[test]
fn a_table_is_a_server_or_several() {
    let text = "[upstream.team]\nurl = \"https://vllm.example.com/v1/\"\nmodel = \"qwen\"\napi_key_env = \"KEY\"\n\
                context = 8192\nfallback = \"lfm2-2.6b\"\ntimeout = \"30s\"\nparallel = 9\n\
                [upstream.two]\nurls = [\"http://127.0.0.1:8000/v1\", \"http://[::1]:8001\"]\n";
    let [team, two] = &parsed(text).unwrap()[..] else { panic!("two tables") };
    let expected = UpstreamConfig {
        name: "team".into(),
        urls: vec!["https://vllm.example.com/v1".into()],
        model: Some("qwen".into()),
        api_key_env: Some("KEY".into()),
        context: Some(8192),
        fallback: Some("lfm2-2.6b".into()),
        timeout: Duration::from_secs(30),
        parallel: Some(9),
    };
    assert_eq!(team, &expected);
    assert_eq!(two.urls, ["http://127.0.0.1:8000/v1", "http://[::1]:8001"]);
    assert_eq!((&two.model, two.context, two.timeout), (&None, None, SILENCE));
}

#[test]
fn mistakes_name_the_setting() {
    for (text, expected) in [
        ("upstream = \"http://a\"", "write [upstream.NAME]"),
        ("[upstream]\nurl = \"http://a\"", "write [upstream.NAME]"),
        ("[upstream.a]\nmodel = \"m\"", "upstream.a.url = \"\" (config.toml): it is missing"),
        ("[upstream.a]\nurl = \"a:80\"", "http:// or https://"),
        ("[upstream.a]\nurl = \"ftp://a\"", "http:// or https://"),
        ("[upstream.a]\nurl = \"http://me:secret@a\"", "must not contain a password"),
        ("[upstream.a]\nurl = \"http://a:99999/v1\"", "its port must be a number from 1 to 65535"),
        ("[upstream.a]\nurl = \"http://[::1]:0\"", "its port must be a number from 1 to 65535"),
        ("[upstream.a]\nurl = \"https://a:/v1\"", "its port must be a number from 1 to 65535"),
        ("[upstream.a]\nurl = \"http://a/v1?key=1\"", "must end with a path"),
        ("[upstream.a]\nurl = \"http://a\"\nkey = \"sk\"", "unknown field `key`"),
        (
            "[upstream.a]\nurl = \"http://a\"\nkey = \"secret\"",
            "upstream.a.key = \"\" (config.toml): unknown field `key`",
        ),
        ("[upstream.a]\nurl = \"http://a\"\ntimeout = 5", "upstream.a.timeout = \"5\" (config.toml): invalid type"),
        ("[upstream.a]\nurl = \"http://a\"\ncontext = 0", "at least 1"),
        ("[upstream.a]\nurl = \"http://a\"\nparallel = 0", "at least 1"),
        ("[upstream.a]\nurl = \"http://a\"\nfallback = \"A\"", "another server computes it too"),
        ("[upstream.a]\nurl = \"http://a\"\ntimeout = \"0\"", "longer"),
        ("[upstream.a]\nurl = \"http://a\"\napi_key_env = \"\"", "leave it out"),
        ("[upstream.auto]\nurl = \"http://a\"", "not auto or builtin"),
        ("[upstream.\"a/b\"]\nurl = \"http://a\"", "at most 64 letters"),
    ] {
        let error = parsed(text).unwrap_err();
        assert!(error.contains(expected) && !error.contains("secret"), "{text}: {error}");
    }
}
