//! Prompts as files, as commands, and `beastctl prompts`.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
};

use beast_protocol::{Constraint, Generate, Overflow, Span};
use expect_test::expect;

use crate::harness::{Beast, Ran, feed};

const FOLDER: &str = "config/beast/prompts";

fn own(beast: &Beast, name: &str, text: &str) -> PathBuf {
    beast.write(&format!("{FOLDER}/{name}.md"), text)
}

/// The request that the daemon gets.
fn asked(beast: &Beast, arguments: &[&str], input: &[u8]) -> Generate {
    let daemon = beast.daemon(|peer| {
        let request = peer.generate();
        // A JSON value, for prompts with a schema.
        peer.answer(&["0"]);
        request
    });
    let ran = beast.run(arguments, input);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    fs::remove_file(beast.socket()).unwrap();
    daemon.join().unwrap()
}

fn turns(request: &Generate) -> Vec<&str> {
    request.messages.iter().map(|message| message.content.as_str()).collect()
}

#[test]
fn a_prompt_of_the_user_s_is_a_command_with_everything_it_sets() {
    let beast = Beast::new();
    own(
        &beast,
        "rate",
        "---\nsystem: You are {{mood}}.\nvariables: {mood: strict, scale: }\nmax_tokens: 9\nsampling: {temp: 0.5, seed: 7}\n\
         schema: rate.json\nreduce: true\n---\nRate the text from 1 to {{scale}}.\n",
    );
    beast.write(&format!("{FOLDER}/rate.json"), "{\"type\":\"object\"}");
    let request = asked(&beast, &["rate", "-p", "scale=10", "--temp", "0"], b"some text");
    assert_eq!(turns(&request), ["You are strict.", "Rate the text from 1 to 10.\n\nsome text"]);
    assert_eq!((request.max_tokens, request.sampling.seed, request.sampling.temp), (Some(9), Some(7), Some(0.0)));
    assert_eq!(request.constraint, Some(Constraint::Schema("{\"type\":\"object\"}".into())));
    let material = Span { start: 29, end: 38 };
    assert_eq!(request.overflow, Overflow::Reduce { material, instruction: String::new() });
    // The same with `run`, and with `-s` in place of the prompt's own instructions.
    let request = asked(&beast, &["run", "rate", "--param", "scale=3", "-s", "Do it."], b"some text");
    assert_eq!(turns(&request), ["Do it.", "some text"]);
}

#[test]
fn commands_use_the_user_s_prompt_of_their_name() {
    let beast = Beast::new();
    own(&beast, "summarize", "Be short.");
    own(&beast, "status", "Never seen.");
    assert_eq!(turns(&asked(&beast, &["summarize"], b"text")), ["Be short.", "text"]);
    assert_eq!(turns(&asked(&beast, &["run", "status"], b"text")), ["Never seen.", "text"]);
    assert_eq!(beast.run(&["status"], b"").code, Some(3), "the command, which finds no daemon");
}

#[test]
fn mistakes_on_the_command_line_are_told_before_a_daemon_is_asked() {
    let beast = Beast::alone();
    own(&beast, "letter", "---\nvariables: {who: , to: all}\n---\nFrom {{who}} to {{to}}.");
    own(&beast, "broken", "---\nmax_token: 3\n---\nx");
    let ran = |arguments: &[&str]| beast.run(arguments, b"text").report();
    let reports: String = [
        &["letter"][..],
        &["letter", "-p", "whom=me"],
        &["letter", "-p", "who"],
        &["explain", "-p", "to=x"],
        &["broken"],
        &["broken", "--help"],
        &["run", "broken"],
        &["summarise"],
        &["run", "summarise"],
        &["run", "../secret"],
        &["./file.txt"],
    ]
    .iter()
    .map(|arguments| ran(arguments))
    .collect();
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: the prompt `letter` needs a value for who; try: -p who=VALUE
        exit 2
        out: ""
        err: beastctl: the prompt `letter` has no variable `whom`, did you mean `who`?; try: use one of who, to
        exit 2
        out: ""
        err: beastctl: invalid value 'who' for '--param <KEY=VALUE>': must be KEY=VALUE; try: beastctl letter --help
        exit 2
        out: ""
        err: beastctl: the prompt `explain` has no variable `to`; try: leave out -p: it has no variables
        exit 2
        out: ""
        err: beastctl: DIR/config/beast/prompts/broken.md:2: unknown key `max_token`, did you mean `max_tokens`?; try: one of description, model, system, variables, sampling, max_tokens, soft_limit, distinct, stop, one_line, think, schema, reduce
        exit 2
        out: ""
        err: beastctl: DIR/config/beast/prompts/broken.md:2: unknown key `max_token`, did you mean `max_tokens`?; try: one of description, model, system, variables, sampling, max_tokens, soft_limit, distinct, stop, one_line, think, schema, reduce
        exit 2
        out: ""
        err: beastctl: DIR/config/beast/prompts/broken.md:2: unknown key `max_token`, did you mean `max_tokens`?; try: one of description, model, system, variables, sampling, max_tokens, soft_limit, distinct, stop, one_line, think, schema, reduce
        exit 2
        out: ""
        err: beastctl: unknown command `summarise`, did you mean `summarize`?; try: beastctl --help for commands, beastctl prompts for prompts
        exit 2
        out: ""
        err: beastctl: no prompt `summarise`, did you mean `summarize`?; try: use one of ask, broken, commit-msg, explain, fix, keywords, letter, review, shell, summarize, title, tldr and 1 more, or beastctl prompts new summarise
        exit 2
        out: ""
        err: beastctl: invalid prompt name `../secret`; try: use a name without `/` that starts with a letter or digit; its file is NAME.md
        exit 2
        out: ""
        err: beastctl: unknown command `./file.txt`; try: beastctl --help for commands, beastctl prompts for prompts
    "#]].assert_eq(&reports);
}

#[test]
fn a_word_that_is_no_text_is_no_command() {
    use std::os::unix::ffi::OsStrExt;
    let beast = Beast::alone();
    let mut command = beast.command(&[]);
    command.arg(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    let ran = Ran::of(feed(command, b""), beast.dir.path());
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
}

#[test]
fn the_list_shows_where_each_comes_from_and_what_is_broken() {
    let beast = Beast::alone();
    own(&beast, "tldr", "---\ndescription: Shorter still\n---\nx");
    own(&beast, "broken", "---\ndescription: a: b\n---\nx");
    own(&beast, "bare", "x");
    own(&beast, "status", "x");
    fs::create_dir(beast.path(&format!("{FOLDER}/folder.md"))).unwrap();
    let ran = beast.run(&["prompts"], b"");
    assert_eq!(ran.code, Some(0));
    expect![[r#"
        ask         built in                           Answer a question, about the input if there is any
        bare        yours
        broken      yours                              broken: DIR/config/beast/prompts/broken.md:2: mapping values are not allowed in this context
        commit-msg  built in                           Write a one-line commit message for a diff
        explain     built in                           Explain code, a command or a message
        fix         built in                           Correct spelling and grammar
        folder      yours                              broken: cannot read DIR/config/beast/prompts/folder.md: is a directory
        keywords    built in                           List keywords, separated by commas
        review      built in                           Review code or a diff for bugs and risks
        shell       built in                           Write a shell command
        status      yours, only with beastctl run
        summarize   built in                           Summarize briefly
        title       built in                           Write a headline
        tldr        yours, overrides the built-in one  Shorter still
        translate   built in                           Translate into English, or another language with -p to=LANGUAGE
    "#]].assert_eq(&ran.stdout);
    let ran = beast.run(&["prompts", "list", "--json"], b"");
    let list: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let of = |name: &str| list.as_array().unwrap().iter().find(|prompt| prompt["name"] == name).unwrap();
    assert_eq!(of("tldr")["origin"], "own_in_place");
    assert_eq!(of("translate")["variables"], serde_json::json!({ "to": "English" }));
    assert!(of("broken")["error"].as_str().unwrap().contains("broken.md:2: "));
    assert_eq!(ran.stdout, beast.run(&["prompts", "--json"], b"").stdout);
}

#[test]
fn without_a_home_there_are_the_built_in_ones() {
    let beast = Beast::alone();
    let run = |arguments: &[&str]| {
        let mut command = beast.command(arguments);
        command.env_remove("HOME").env_remove("XDG_CONFIG_HOME");
        Ran::of(feed(command, b""), beast.dir.path())
    };
    assert!(run(&["prompts"]).stdout.contains("\ntldr "));
    let ran = run(&["prompts", "path"]);
    assert_eq!((ran.code, ran.stderr.contains("HOME is not set")), (Some(2), true), "{ran:?}");
}

#[test]
fn show_prints_the_file_as_it_is() {
    let beast = Beast::alone();
    own(&beast, "broken", "---\nmax_token: 3\n---\nx");
    assert_eq!(beast.run(&["prompts", "show", "broken"], b"").stdout, "---\nmax_token: 3\n---\nx\n");
    let built_in = beast.run(&["prompts", "show", "translate"], b"").stdout;
    assert_eq!(built_in, include_str!("../../prompts/translate.md"));
    assert_eq!(beast.run(&["prompts", "show", "nothing-like-it"], b"").code, Some(2));
}

#[test]
fn new_writes_a_prompt_that_works_and_overwrites_nothing() {
    let beast = Beast::new();
    let ran = beast.run(&["prompts", "new", "haiku"], b"");
    assert_eq!(ran.report(), format!("exit 0\nout: \"DIR/{FOLDER}/haiku.md\\n\"\nerr: "));
    let mode = |path: &str| fs::metadata(beast.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(FOLDER), 0o700);
    // Every setting that the template shows is valid.
    let shown = fs::read_to_string(beast.path(&format!("{FOLDER}/haiku.md"))).unwrap();
    let uncommented = |line: &str| match line.strip_prefix('#') {
        // Prose has one blank after `#`; lines of a nested setting have two.
        Some(rest) if !rest.starts_with(' ') || rest.starts_with("  ") => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    let used: String = shown.lines().map(uncommented).collect();
    let placeholder = "Replace this line with the instruction.";
    assert!(used.ends_with(&format!("---\n{placeholder}\n")), "{used}");
    let used = used.replace(placeholder, "Say it in {{language}} for {{audience}}.");
    beast.write(&format!("{FOLDER}/answer.json"), "{}");
    own(&beast, "all", &used);
    let request = asked(&beast, &["all", "-p", "audience=me"], b"rain");
    assert_eq!(request.sampling.top_k, Some(40), "{used}");
    assert_eq!(turns(&request), ["You are a patient teacher.", "Say it in English for me.\n\nrain"]);

    symlink("nowhere", beast.path(&format!("{FOLDER}/link.md"))).unwrap();
    let reports: String = [
        &["haiku"][..],
        &["link"],
        &["status"],
        &["help"],
        &["../evil"],
        &[".hidden"],
        &["copy", "--from", "nothing-like-it"],
    ]
    .iter()
    .map(|arguments| beast.run(&[&["prompts", "new"], *arguments].concat(), b"").report())
    .collect();
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: DIR/config/beast/prompts/haiku.md exists already; try: beastctl prompts edit haiku
        exit 2
        out: ""
        err: beastctl: DIR/config/beast/prompts/link.md exists already; try: beastctl prompts edit link
        exit 2
        out: ""
        err: beastctl: `status` is a command; try: use another name
        exit 2
        out: ""
        err: beastctl: `help` is a command; try: use another name
        exit 2
        out: ""
        err: beastctl: invalid prompt name `../evil`; try: use a name without `/` that starts with a letter or digit; its file is NAME.md
        exit 2
        out: ""
        err: beastctl: invalid prompt name `.hidden`; try: use a name without `/` that starts with a letter or digit; its file is NAME.md
        exit 2
        out: ""
        err: beastctl: no prompt `nothing-like-it`; try: use one of all, ask, commit-msg, explain, fix, haiku, keywords, link, review, shell, summarize, title and 2 more, or beastctl prompts new nothing-like-it
    "#]].assert_eq(&reports);
    assert_eq!(fs::read_to_string(beast.path(&format!("{FOLDER}/haiku.md"))).unwrap(), shown);
    let ran = beast.run(&["prompts", "new", "brief", "--from", "tldr"], b"");
    assert_eq!(ran.code, Some(0));
    let copy = fs::read_to_string(beast.path(&format!("{FOLDER}/brief.md"))).unwrap();
    assert_eq!(copy, include_str!("../../prompts/tldr.md"));
}

#[test]
fn a_place_where_nothing_can_be_written_is_told() {
    let beast = Beast::alone();
    // Root may write anywhere, but a file cannot be a folder.
    beast.write("config/beast", "a file");
    let ran = beast.run(&["prompts", "new", "haiku"], b"");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("cannot write DIR/config/beast/prompts"), "{ran:?}");
    let ran = beast.run(&["prompts"], b"");
    assert!(ran.code == Some(0) && ran.stdout.contains("translate"), "what is built in needs no folder: {ran:?}");
}

#[test]
fn path_is_for_scripts() {
    let beast = Beast::alone();
    own(&beast, "broken", "---");
    assert_eq!(beast.run(&["prompts", "path"], b"").stdout, format!("DIR/{FOLDER}\n"));
    assert_eq!(beast.run(&["prompts", "path", "broken"], b"").stdout, format!("DIR/{FOLDER}/broken.md\n"));
    assert_eq!(beast.run(&["prompts", "path", "explain"], b"").code, Some(2));
    assert_eq!(beast.run(&["prompts", "path", "../../x"], b"").code, Some(2));
}

#[test]
fn a_new_prompt_does_not_take_the_place_of_a_built_in_one_by_accident() {
    let beast = Beast::alone();
    let reports = [&["new", "tldr"][..], &["new", "tldr", "--from", "title"], &["new", "tldr"]]
        .map(|arguments| beast.run(&[&["prompts"], arguments].concat(), b"").report());
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: the prompt `tldr` is built in; try: edit a copy with beastctl prompts edit tldr, or use another name
        exit 0
        out: "DIR/config/beast/prompts/tldr.md\n"
        err: exit 2
        out: ""
        err: beastctl: DIR/config/beast/prompts/tldr.md exists already; try: beastctl prompts edit tldr
    "#]].assert_eq(&reports.concat());
}

#[test]
fn the_list_for_programs_has_all_that_a_prompt_sets() {
    let beast = Beast::alone();
    own(
        &beast,
        "rate",
        "---\nsystem: You rate.\nmax_tokens: 9\nsampling: {temp: 0.5}\nschema: {type: integer}\nreduce: true\n---\nRate it.",
    );
    let ran = beast.run(&["prompts", "list", "--json"], b"");
    let list: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let rate = list.as_array().unwrap().iter().find(|prompt| prompt["name"] == "rate").unwrap();
    assert_eq!((&rate["system"], &rate["instruction"]), (&"You rate.".into(), &"Rate it.".into()));
    assert_eq!((&rate["max_tokens"], &rate["sampling"]["temp"]), (&9.into(), &0.5.into()));
    assert_eq!((&rate["schema"]["type"], &rate["reduce"]), (&"integer".into(), &true.into()));
    assert_eq!((&rate["origin"], &rate["path"]), (&"own".into(), &format!("DIR/{FOLDER}/rate.md").into()));
}

/// Some users set this to have no configuration.
#[test]
fn a_folder_that_cannot_be_one_leaves_what_is_built_in() {
    let beast = Beast::alone();
    let run = |arguments: &[&str]| {
        let mut command = beast.command(arguments);
        command.env("XDG_CONFIG_HOME", "/dev/null");
        Ran::of(feed(command, b""), beast.dir.path())
    };
    assert_eq!(run(&["prompts", "show", "tldr"]).stdout, include_str!("../../prompts/tldr.md"));
    assert_eq!(run(&["prompts"]).code, Some(0));
}

#[test]
fn words_in_the_place_of_a_file_are_the_text() {
    let beast = Beast::new();
    let last = |arguments: &[&str], input: &[u8]| turns(&asked(&beast, arguments, input)).last().unwrap().to_string();
    assert_eq!(last(&["shell", "list the five largest files"], b""), "list the five largest files");
    assert_eq!(last(&["translate", "-p", "to=French", "good morning"], b""), "good morning");
    assert_eq!(last(&["fix", "wat is this"], b""), "wat is this");
    assert_eq!(last(&["run", "ask", "why not"], b""), "why not");
    // Piped input is never ignored.
    assert_eq!(last(&["review", "is the lock held?"], b"the diff\n"), "the diff\n\nis the lock held?");
    // An existing file takes precedence.
    beast.write("two words", "its text");
    assert_eq!(last(&["fix", "two words"], b"from stdin"), "its text");
    let ran = beast.run(&["shell", "list files", "--schema", "-"], b"{}");
    assert!(ran.code == Some(2) && ran.stderr.contains("stdin is the input"), "{ran:?}");
}

#[test]
fn words_that_may_be_a_slip_are_told_with_the_way() {
    let beast = Beast::alone();
    let reports = [
        &["shell", "list", "the", "files"][..],
        &["translate", "hello"],
        &["run", "fix", "my notes.txt"],
        &["summarize", "a b"],
        &["summarize", "nofile"],
        &["explain", "nofile.sh"],
    ]
    .map(|arguments| beast.run(arguments, b"").report());
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: file `list the files` not found; try: beastctl shell 'list the files'
        exit 2
        out: ""
        err: beastctl: file `hello` not found; try: echo hello | beastctl translate
        exit 2
        out: ""
        err: beastctl: file `my notes.txt` not found; try: echo 'my notes.txt' | beastctl fix
        exit 2
        out: ""
        err: beastctl: file `a b` not found; try: echo 'a b' | beastctl summarize
        exit 2
        out: ""
        err: beastctl: cannot read nofile: No such file or directory (os error 2); try: ls, to see what is there
        exit 2
        out: ""
        err: beastctl: cannot read nofile.sh: No such file or directory (os error 2); try: ls, to see what is there
    "#]]
    .assert_eq(&reports.concat());
}

#[test]
fn a_prompt_that_says_nothing_yet_is_not_run() {
    let beast = Beast::alone();
    beast.run(&["prompts", "new", "haiku"], b"");
    let reports =
        [&["haiku"][..], &["run", "haiku"], &["chat", "haiku"]].map(|arguments| beast.run(arguments, b"rain").report());
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: DIR/config/beast/prompts/haiku.md:49: the prompt has no instruction yet: replace this line; try: beastctl prompts edit haiku
        exit 2
        out: ""
        err: beastctl: DIR/config/beast/prompts/haiku.md:49: the prompt has no instruction yet: replace this line; try: beastctl prompts edit haiku
        exit 2
        out: ""
        err: beastctl: DIR/config/beast/prompts/haiku.md:49: the prompt has no instruction yet: replace this line; try: beastctl prompts edit haiku
    "#]].assert_eq(&reports.concat());
    let listed = beast.run(&["prompts"], b"").stdout;
    assert!(listed.contains("haiku") && listed.contains("no instruction yet"), "{listed}");
    // A prompt with an instruction runs, with or without settings.
    let beast = Beast::new();
    own(&beast, "haiku", "---\ndescription: What this prompt is for\n---\nWrite a haiku about the input.");
    assert_eq!(turns(&asked(&beast, &["haiku"], b"rain"))[0], "Write a haiku about the input.");
}

#[test]
fn the_text_of_a_new_prompt_is_typed_or_piped_in() {
    let beast = Beast::alone();
    let new = |arguments: &[&str], input: &[u8]| beast.run(&[&["prompts", "new"], arguments].concat(), input);
    let text = |name: &str| fs::read_to_string(beast.path(&format!("{FOLDER}/{name}.md"))).unwrap();
    let ran = new(&["haiku", "Write", "a haiku."], b"not read");
    assert_eq!(ran.report(), format!("exit 0\nout: \"DIR/{FOLDER}/haiku.md\\n\"\nerr: "));
    assert_eq!(text("haiku"), "Write a haiku.\n");
    assert_eq!(new(&["piped"], b"\n---\nmax_tokens: 9\n---\nBe brief.\n\n").code, Some(0));
    assert_eq!(text("piped"), "---\nmax_tokens: 9\n---\nBe brief.\n");
    assert_eq!(new(&["tldr", "Be brief."], b"").code, Some(0), "a text is no accident");
    let refused = [
        new(&["haiku", "Another."], b""),
        new(&["wrong", "---\nmax_tokens: 0\n---\nx"], b""),
        new(&["wrong"], b"---\nmax_token: 1\n---\nx"),
        new(&["wrong"], b"a\0"),
        new(&["wrong", " "], b""),
        new(&["wrong", "x", "--from", "tldr"], b""),
        new(&["ask", "Replace this line with the instruction."], b""),
    ];
    assert!(!beast.path(&format!("{FOLDER}/wrong.md")).exists(), "nothing is left behind");
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: DIR/config/beast/prompts/haiku.md exists already; try: beastctl prompts edit haiku
        exit 2
        out: ""
        err: beastctl: '--- max_tokens: 0 --- x' starts with a dash, so it was parsed as options; try: beastctl prompts new -- '--- max_tokens: 0 --- x'
        exit 2
        out: ""
        err: beastctl: the text:2: unknown key `max_token`, did you mean `max_tokens`?; try: one of description, model, system, variables, sampling, max_tokens, soft_limit, distinct, stop, one_line, think, schema, reduce
        exit 2
        out: ""
        err: beastctl: stdin is binary (a NUL byte at offset 1); try: convert it to text first, for example with pdftotext or iconv -t UTF-8
        exit 2
        out: ""
        err: beastctl: the text of `wrong` is empty; try: beastctl prompts new wrong 'Write a haiku about the input.'
        exit 2
        out: ""
        err: beastctl: the argument '[TEXT]...' cannot be used with '--from <PROMPT>'; try: beastctl prompts new --help
        exit 2
        out: ""
        err: beastctl: the text:1: the prompt has no instruction yet: replace this line; try: fix that line
    "#]].assert_eq(&refused.map(|ran| ran.report()).concat());
}
