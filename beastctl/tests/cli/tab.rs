//! Tab on a line typed into a real shell. Tests of a shell that is not installed are skipped, with a message.

use std::{
    env, fs,
    process::{Child, Command},
};

use crate::{
    harness::{Beast, spawn},
    terminal::Terminal,
};

/// Lines that all shells complete alike: before Tab, and after.
const SAME: &[(&str, &str)] = &[
    ("summarize uni", "summarize uniq.txt "),
    ("summarize ~/un", "summarize ~/uniq.txt "),
    ("summarize $HOME/un", "summarize $HOME/uniq.txt "),
    (r"summarize two\ words.", r"summarize two\ words.txt "),
    (r#"summarize "two words."#, r#"summarize "two words.txt" "#),
    ("summarize 'two words.", "summarize 'two words.txt' "),
    ("summarize it", r"summarize it\'s.txt "),
    (r"summarize a\$", r"summarize a\$b.txt "),
    ("summarize su", "summarize sub/"),
    ("translate sub/de", "translate sub/deep/"),
    (r#""summarize" uni"#, r#""summarize" uniq.txt "#),
    ("ask --schema=uni", "ask --schema=uniq.txt "),
    ("ask --schema ~/un", "ask --schema ~/uniq.txt "),
    ("ask -f uni", "ask -f uniq.txt "),
    ("ask --messages ~/un", "ask --messages ~/uniq.txt "),
    // A question is not a file name.
    ("ask uni", "ask uni"),
    ("run nothi", "run nothi"),
    ("run tld", "run tldr "),
    ("map tld", "map tldr "),
    ("map tldr uni", "map tldr uniq.txt "),
    ("map tldr --out=uni", "map tldr --out=uniq.txt "),
    ("hai", "haiku "),
    (r"run two\ p", r"run two\ parts "),
    (r#"run "two p"#, r#"run "two parts" "#),
    ("run 'two p", "run 'two parts' "),
    ("translate -p t", "translate -p to="),
    ("--color=al", "--color=always "),
    ("man --dir su", "man --dir sub/"),
    ("man --dir uni", "man --dir uni"),
    ("models use mod", "models use model.gguf "),
    ("models use ~/mod", "models use ~/model.gguf "),
    ("models use $HOME/mod", "models use $HOME/model.gguf "),
    ("models use 'my m", "models use 'my model.gguf' "),
    ("models use sub/", "models use sub/"),
    ("models use sub/o", "models use sub/other.gguf "),
    ("models use LFM2-m", "models use LFM2-mine "),
    ("models use aut", "models use auto "),
    ("bench --model=mod", "bench --model=model.gguf "),
    ("ask -m tea", "ask -m team "),
];

/// A home with all kinds of files.
fn home() -> Beast {
    let beast = Beast::new();
    let data = if cfg!(target_os = "macos") { "Library/Application Support/beast" } else { "data/beast" };
    let files = ["uniq.txt", "two words.txt", "it's.txt", "a$b.txt", "model.gguf", "my model.gguf", "sub/other.gguf"];
    for file in files.into_iter().chain(["sub/deep/x"]) {
        beast.write(file, "x");
    }
    beast.write(&format!("{data}/models/LFM2-mine.gguf"), "x");
    beast.write("config/beast/config.toml", "[upstream.team]\nurl = \"http://127.0.0.1:8000/v1\"\n");
    for prompt in ["haiku", "two parts"] {
        beast.write(&format!("config/beast/prompts/{prompt}.md"), "Do it.");
    }
    beast
}

/// A shell in a terminal of its own, ready for the first line; `None` if it or setsid is not installed.
pub(crate) fn shell(beast: &Beast, words: &[&str], setup: &str) -> Option<(Child, Terminal)> {
    // A shell that does not own its terminal prints a warning.
    let installed = Command::new("setsid").args([words[0], "-c", "true"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let path = env::join_paths([beast.program.parent()?, "/usr/bin".as_ref(), "/bin".as_ref()]).unwrap();
    let terminal = Terminal::new(200);
    let mut command = Command::new("setsid");
    command.arg("--ctty").args(words).current_dir(beast.dir.path()).env_clear().env("PATH", path);
    command.env("HOME", beast.dir.path()).env("XDG_CONFIG_HOME", beast.path("config")).env("PS1", "$ ");
    command.env("XDG_DATA_HOME", beast.path("data")).env("TERM", "xterm").env("LANG", "C.UTF-8");
    command.stdin(terminal.stdio()).stdout(terminal.stdio()).stderr(terminal.stdio());
    let child = spawn(&mut command);
    terminal.type_in(format!("{setup}; echo READY''-NOW\n"));
    terminal.wait_for("READY-NOW");
    Some((child, terminal))
}

/// The line after Tab; on Ctrl-T the shell writes it to a file.
fn tab(beast: &Beast, terminal: &Terminal, line: &str) -> String {
    terminal.type_in(format!("beastctl {line}\t\x14"));
    terminal.wait_for("LINE-WRITTEN");
    terminal.type_in("\x15");
    let told = fs::read_to_string(beast.path("line")).unwrap();
    told.trim_end_matches('\n').strip_prefix("beastctl ").unwrap_or(&told).to_owned()
}

/// Tests a shell; false if it is not installed.
#[track_caller]
fn check(words: &[&str], setup: &str) -> bool {
    let beast = home();
    let Some((mut child, terminal)) = shell(&beast, words, setup) else { return false };
    let told: Vec<_> = SAME.iter().map(|(line, _)| (*line, tab(&beast, &terminal, line))).collect();
    terminal.type_in("exit\n");
    terminal.finish();
    child.wait().unwrap();
    for ((line, told), (_, expected)) in told.iter().zip(SAME) {
        assert_eq!(told, expected, "{} {line:?}: {told:?}", words[0]);
    }
    true
}

#[test]
fn bash_completes_paths_as_it_always_does() {
    let setup = "eval \"$(beastctl completions bash)\"; bind 'set bell-style none'; \
         bind -x '\"\\C-t\": printf %s \"$READLINE_LINE\" >$HOME/line; echo LINE\"\"-WRITTEN'";
    if !check(&["bash", "--norc", "--noprofile", "-i"], setup) {
        eprintln!("skipped: there is no bash, or no setsid");
    }
}

/// Writes the line to a file on Ctrl-T.
const ZSH_KEY: &str = "w() { print -rn -- \"$BUFFER\" >$HOME/line; print LINE\"\"-WRITTEN; }; zle -N w; bindkey '^T' w";

#[test]
fn zsh_completes_paths_as_it_always_does() {
    let setup = format!(
        "PS1=; unsetopt beep; autoload -U compinit; compinit -u -D; source <(beastctl completions zsh); {ZSH_KEY}"
    );
    if !check(&["zsh", "-f", "-i"], &setup) {
        eprintln!("skipped: there is no zsh, or no setsid");
    }
}

/// The first Tab runs the script itself.
#[test]
fn zsh_completes_with_the_file_of_a_package() {
    let setup = format!(
        "PS1=; unsetopt beep; mkdir -p site; beastctl completions zsh >site/_beastctl; fpath=($PWD/site $fpath); \
         autoload -U compinit; compinit -u -D; {ZSH_KEY}"
    );
    if !check(&["zsh", "-f", "-i"], &setup) {
        eprintln!("skipped: there is no zsh, or no setsid");
    }
}

#[test]
fn fish_completes_paths_as_it_always_does() {
    let setup = "beastctl completions fish | source; \
         function w; commandline >$HOME/line; echo LINE\"\"-WRITTEN; end; bind \\ct w";
    if !check(&["fish", "--no-config", "-i"], setup) {
        eprintln!("skipped: there is no fish, or no setsid");
    }
}
