use expect_test::expect;

use super::*;

const SAMPLES: &[&str] = &[
    "",
    "plain words, nothing else",
    "# Title\n\n## Part *two*\n\n###### six\n####### seven\n#hashtag\n#",
    "a **bold** and *italic* and ***both*** and __bold__ and _italic_ word",
    "**bold *and italic* inside** *italic **and bold** inside* **a *b***",
    "`code`, ``a ` b``, ` `` `, `*not italic*`, **`bold code`**",
    "snake_case_words, 2*3*4, a * b, 2 * 3 * 4, src/*.rs, *.rs and *.toml, __init__, f(*args, **kwargs)",
    "`` unclosed, **unclosed, *unclosed, _unclosed, [unclosed](http://a, `unclosed",
    "ends with **",
    "ends with *",
    "ends with `",
    "ends with \\",
    "ends with [a](",
    "**\n*\n_\n`\n[\n![",
    "escaped \\*stars\\* and \\_lines\\_, a formula \\(x\\), a path C:\\dir\\*",
    "* one\n* **two**\n  - deeper\n    + deepest *x*\n- [ ] task\n-not a bullet\n-",
    "1. one\n2) two\n   10. *ten*\n1.5 is a number\n12345678901. no\n2024",
    "> quoted **words**\n> > twice\n>tight\n>\n> - item\n> # head",
    "above\n\n---\n***\n___\n- - -\n--\nbelow --- and more",
    "```rust\nfn main() { **x** }\n\n  `a` ``\n```\nafter *code*",
    "```\nno info\n```\n\n~~~text with ``` inside\n```\n~~~\nend",
    "text\n```sh\nunclosed **code**\n``",
    "1. do\n   ```sh\n   ls *\n   ```\n2. - ```\n     x\n     ```\ndone",
    "```inline``` code and ``````",
    "| a | **b** |\n|---|:-:|\n| `1` | 2_3_4 |\n\nafter",
    "see [the *docs*](https://example.org/a_b_c \"title\"), ![image](x.png), [1], [ ], [](x), a[0](1)",
    "**Bold that goes on for much longer than anybody would wait for its end** and on",
    "`code --that goes=on for much longer than anybody would wait for its end` and on",
    "*italic that goes on for much longer than anybody would wait for its end* and on",
    "**bold that is long enough and *has italics* in it and `code` too, then** ends",
    "**bold that never ends and that is longer than what is held back for it\n\nthe next paragraph",
    "这是**粗体**文字，*斜体*。日本語`コード`です",
    "emoji 👩‍👩‍👧 **e\u{301}** *x*",
    "  indented text\n\n\n\ntwo **words**\n",
    "> ```\n> quoted code\n> ```",
    "*a*b* c*d *e* f**g** **h**i _j_k _l_",
    "\"**quoted**\" (*in brackets*) **bold**: *it*, _x_. **a** **b**",
    "| not\na | b\n~ tilde ~~strike~~ ~5\n+ plus\n+plus",
];

fn painted(pieces: &[&str]) -> String {
    let mut markdown = Markdown::new(true);
    let text: String = pieces.iter().map(|piece| markdown.push(piece)).collect();
    text + &markdown.finish()
}

/// The visible text, without escape codes.
fn visible(painted: &str) -> String {
    let mut parts = painted.split('\x1b');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').unwrap().1)
}

/// Makes styles visible, each line with its end.
fn readable(painted: &str) -> String {
    let mut parts = painted.split("\x1b[");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| {
        let (codes, rest) = part.split_once('m').unwrap();
        format!("{text}‹{codes}›{rest}")
    })
}

#[test]
fn pieces_of_any_size_give_the_same_bytes() {
    for sample in SAMPLES {
        let whole = painted(&[sample]);
        let characters: Vec<String> = sample.chars().map(String::from).collect();
        assert_eq!(painted(&characters.iter().map(String::as_str).collect::<Vec<_>>()), whole, "{sample}");
        for (n, _) in sample.char_indices() {
            assert_eq!(painted(&[&sample[..n], &sample[n..]]), whole, "{sample} at {n}");
        }
    }
}

/// Formatting only removes marks, and reorders nothing.
#[test]
fn every_word_is_shown_and_no_style_goes_beyond_its_line() {
    for sample in SAMPLES {
        let painted = painted(&[sample]);
        let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        assert_eq!(letters(&visible(&painted)), letters(sample), "{sample}");
        for line in painted.split('\n') {
            let last = line.rsplit('\x1b').next().unwrap();
            assert!(!line.contains('\x1b') || last.starts_with("[0m"), "{line:?} of {sample}");
        }
    }
}

/// The answer may end anywhere, even within markup.
#[test]
fn every_beginning_of_an_answer_is_shown_whole() {
    for sample in SAMPLES {
        for (n, _) in sample.char_indices() {
            let text = visible(&painted(&[&sample[..n]]));
            let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            assert_eq!(letters(&text), letters(&sample[..n]), "{:?}", &sample[..n]);
        }
    }
}

/// Random sequences of marks, which nobody would think of.
#[test]
fn chance_finds_nothing_either() {
    let marks: Vec<char> = "***__``[]()#>-+1.) \n\n\\~|aab日🦀!".chars().collect();
    let mut state = 7_u64;
    let mut next = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % n
    };
    for _ in 0..20_000 {
        let sample: String = (0..next(70)).map(|_| marks[next(marks.len())]).collect();
        let whole = painted(&[&sample]);
        let characters: Vec<String> = sample.chars().map(String::from).collect();
        assert_eq!(painted(&characters.iter().map(String::as_str).collect::<Vec<_>>()), whole, "{sample:?}");
        let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        // A URL that is its own text is shown once.
        if !sample.contains("](") {
            assert_eq!(letters(&visible(&whole)), letters(&sample), "{sample:?}");
        }
        assert!(!whole.contains('\x1b') || whole.rsplit('\x1b').next().unwrap().starts_with("[0m"), "{sample:?}");
    }
}

/// Text that is not markup stays exactly as it is.
#[test]
fn what_only_looks_like_markup_is_left_alone() {
    for sample in [
        "snake_case_words, 2*3*4, a * b, 2 * 3 * 4, src/*.rs, *.rs and *.toml, __init__",
        "f(*args, **kwargs) and 2**3**4 and **",
        "a **b",
        "a *b",
        "a `b",
        "a [b](c",
        "#hashtag",
        "-not a bullet",
        "1.5 is a number",
        "\\(x\\) C:\\dir",
        "/* a comment */ and //",
        "| `a` | **b** |",
        "x = [1](2",
        "a[0](1) and f(x)[1](2)",
        "____ and ****",
        "p < q > r & s",
    ] {
        assert_eq!(painted(&[sample]), sample);
    }
}

#[test]
fn samples_look_like_this() {
    let all: String = SAMPLES.iter().map(|sample| format!("{}\n~\n", readable(&painted(&[sample])))).collect();
    expect![[r#"

        ~
        plain words, nothing else
        ~
        ‹1;4›Title‹0›

        ‹1›Part ‹0;1;3›two‹0›

        ‹1›six‹0›
        ####### seven
        #hashtag
        #
        ~
        a ‹1›bold‹0› and ‹3›italic‹0› and ‹1;3›both‹0› and __bold__ and ‹3›italic‹0› word
        ~
        ‹1›bold ‹0;1;3›and italic‹0;1› inside‹0› ‹3›italic ‹0;1;3›and bold‹0;3› inside‹0› ‹1›a ‹0;1;3›b‹0›
        ~
        ‹36›code‹0›, ‹36›a ` b‹0›, ‹36›``‹0›, ‹36›*not italic*‹0›, ‹1;36›bold code‹0›
        ~
        snake_case_words, 2*3*4, a * b, 2 * 3 * 4, src/*.rs, *.rs and *.toml, __init__, f(*args, **kwargs)
        ~
        ‹36› unclosed, **unclosed, *unclosed, _unclosed, [unclosed](http://a, `unclosed‹0›
        ~
        ends with **
        ~
        ends with *
        ~
        ends with `
        ~
        ends with \
        ~
        ends with [a](
        ~
        **
        *
        _
        `
        [
        ![
        ~
        escaped *stars* and _lines_, a formula \(x\), a path C:\dir*
        ~
        • one
        • ‹1›two‹0›
          • deeper
            • deepest ‹3›x‹0›
        • [ ] task
        -not a bullet
        -
        ~
        1. one
        2) two
           10. ‹3›ten‹0›
        1.5 is a number
        12345678901. no
        2024
        ~
        ‹2›│ ‹0;3›quoted ‹0;1;3›words‹0›
        ‹2›│ │ ‹0;3›twice‹0›
        ‹2›│ ‹0;3›tight‹0›
        ‹2›│ ‹0›
        ‹2›│ ‹0;3›• item‹0›
        ‹2›│ ‹0;1;3;4›head‹0›
        ~
        above

        ‹2›────────────────────────‹0›
        ‹2›────────────────────────‹0›
        ‹2›────────────────────────‹0›
        • • -
        --
        below --- and more
        ~
        ‹2;3›rust‹0›
        ‹2›fn main() { **x** }‹0›

        ‹2›  `a` ``‹0›
        after ‹3›code‹0›
        ~
        ‹2›no info‹0›

        ‹2;3›text with ``` inside‹0›
        ‹2›```‹0›
        end
        ~
        text
        ‹2;3›sh‹0›
        ‹2›unclosed **code**‹0›
        ‹2›``‹0›
        ~
        1. do
           ‹2;3›sh‹0›
        ‹2›   ls *‹0›
        2. • 
        ‹2›     x‹0›
        done
        ~
        ‹36›inline‹0› code and ``````
        ~
        | a | **b** |
        |---|:-:|
        | `1` | 2_3_4 |

        after
        ~
        see the ‹3›docs‹0;2› (https://example.org/a_b_c "title")‹0›, !image‹2› (x.png)‹0›, [1], [ ], [](x), a[0](1)
        ~
        ‹1›Bold that goes on for much longer than anybody would wait for its end‹0› and on
        ~
        ‹36›code --that goes=on for much longer than anybody would wait for its end‹0› and on
        ~
        *italic that goes on for much longer than anybody would wait for its end* and on
        ~
        ‹1›bold that is long enough and ‹0;1;3›has italics‹0;1› in it and ‹0;1;36›code‹0;1› too, then‹0› ends
        ~
        ‹1›bold that never ends and that is longer than what is held back for it‹0›

        the next paragraph
        ~
        这是‹1›粗体‹0›文字，‹3›斜体‹0›。日本語‹36›コード‹0›です
        ~
        emoji 👩‍👩‍👧 ‹1›é‹0› ‹3›x‹0›
        ~
          indented text



        two ‹1›words‹0›
        ~
        ‹2›│ ‹0;3›```‹0›
        ‹2›│ ‹0;3›quoted code‹0›
        ‹2›│ ‹0;3›```‹0›
        ~
        ‹3›a*b‹0› c*d ‹3›e‹0› f**g** ‹1›h‹0›i ‹3›j_k _l‹0›
        ~
        "‹1›quoted‹0›" (‹3›in brackets‹0›) ‹1›bold‹0›: ‹3›it‹0›, ‹3›x‹0›. ‹1›a‹0› ‹1›b‹0›
        ~
        | not
        a | b
        ~ tilde ~~strike~~ ~5
        • plus
        +plus
        ~
    "#]]
    .assert_eq(&all);
}

/// The visible text after each piece.
#[test]
fn text_is_shown_as_it_comes() {
    let mut markdown = Markdown::new(true);
    let mut said = String::new();
    for piece in [
        "The",
        " **qu",
        "ick** br",
        "own *fo",
        "x* and 2",
        " * 3, so",
        "me_",
        "name, [li",
        "nk](u",
        "rl) e",
        "nd",
        "\n-",
        " it",
        "em\n``",
        "`sh\nl",
        "s\n``",
        "` x\n`",
        "``\n1",
        "2. b\n",
    ] {
        let shown = markdown.push(piece);
        said += &format!("{piece:?} → {:?}\n", visible(&shown));
    }
    expect![[r#"
        "The" → "The"
        " **qu" → " "
        "ick** br" → "quick br"
        "own *fo" → "own "
        "x* and 2" → "fox and 2"
        " * 3, so" → " * 3, so"
        "me_" → "me"
        "name, [li" → "_name, "
        "nk](u" → ""
        "rl) e" → "link (url) e"
        "nd" → "nd"
        "\n-" → ""
        " it" → "\n• it"
        "em\n``" → "em"
        "`sh\nl" → "\nsh\nl"
        "s\n``" → "s"
        "` x\n`" → "\n``` x"
        "``\n1" → ""
        "2. b\n" → "\n12. b"
    "#]]
    .assert_eq(&said);
}

#[test]
fn a_line_without_end_is_not_kept() {
    let mut markdown = Markdown::new(true);
    for beginning in ["`".repeat(5000), "-".repeat(5000), " ".repeat(5000), format!("~~~{}", "x".repeat(5000))] {
        assert!(markdown.push(&beginning).len() > 4500);
        markdown.push("\n");
    }
    let shown: usize = "*a _b `c [d ".repeat(500).chars().map(|c| markdown.push(&c.to_string()).len()).sum();
    assert!(shown > 5500);
}

const WRAPPED: &str = "\
# A heading that is longer than a line of this terminal
Some **bold words that cross the edge** and `code that does` too.

* an item whose text goes on below its beginning
  and goes on
    1. another one inside of the first, which is long
> a quotation that is longer than one line
```sh
ls --a-line-of-code that is longer than the terminal is wide
```
| a table | that is wider than | the terminal |

    indented code that is longer than the terminal
日本語の文章は単語の間に空白がありません。
";

/// The text on a terminal of 30 columns, in pieces of `n_chars`.
fn wrapped(markdown: Markdown, text: &str, n_chars: usize) -> String {
    let mut markdown = markdown.wrapped(Some(30));
    let chars: Vec<char> = text.chars().collect();
    let pieces = chars.chunks(n_chars).map(|piece| markdown.push(&piece.iter().collect::<String>()));
    pieces.collect::<String>() + &markdown.finish()
}

#[test]
fn words_move_to_the_next_line_and_code_does_not() {
    expect![[r#"
        ‹1;4›A heading that is longer than
        a line of this terminal‹0›
        Some ‹1›bold words that cross the
        edge‹0› and ‹36›code that does‹0› too.

        • an item whose text goes on
          below its beginning
          and goes on
            1. another one inside of
               the first, which is
               long
        ‹2›│ ‹0;3›a quotation that is longer
        │ than one line‹0›
        ‹2;3›sh‹0›
        ‹2›ls --a-line-of-code that is longer than the terminal is wide‹0›
        | a table | that is wider than | the terminal |

            indented code that is longer than the terminal
        日本語の文章は単語の間に空白が
        ありません。
    "#]]
    .assert_eq(&(readable(&wrapped(Markdown::new(true), WRAPPED, 3)) + "\n"));
    expect![[r#"
        # A heading that is longer
        than a line of this terminal
        Some **bold words that cross
        the edge** and `code that
        does` too.

        * an item whose text goes on
          below its beginning
          and goes on
            1. another one inside of
               the first, which is
               long
        > a quotation that is longer
        > than one line
        ```sh
        ls --a-line-of-code that is longer than the terminal is wide
        ```
        | a table | that is wider than | the terminal |

            indented code that is longer than the terminal
        日本語の文章は単語の間に空白が
        ありません。
    "#]]
    .assert_eq(&(wrapped(Markdown::new(true).plain(), WRAPPED, 3) + "\n"));
}

#[test]
fn a_wrapped_text_is_the_same_in_whatever_pieces() {
    for text in SAMPLES.iter().chain(&[WRAPPED]) {
        for plain in [false, true] {
            let markdown = || if plain { Markdown::new(true).plain() } else { Markdown::new(true) };
            let whole = wrapped(markdown(), text, usize::MAX);
            for n_chars in [1, 2, 7] {
                assert_eq!(wrapped(markdown(), text, n_chars), whole, "{text:?}");
            }
        }
    }
}

#[test]
fn a_terminal_that_is_wide_enough_shows_a_plain_text_as_it_is() {
    for text in SAMPLES {
        let mut markdown = Markdown::new(true).plain().wrapped(Some(500));
        let shown = markdown.push(text) + &markdown.finish();
        assert_eq!(shown, text.trim_end_matches('\n'), "{text:?}");
    }
}

#[test]
fn an_address_that_is_its_own_text_is_shown_once() {
    assert_eq!(painted(&["to [https://a.b](https://a.b)."]), "to https://a.b.");
}

#[test]
fn a_poor_terminal_gets_poor_marks() {
    let mut markdown = Markdown::new(false);
    let text = markdown.push("* a\n> b\n---\n") + &markdown.finish();
    assert_eq!(visible(&text), "- a\n> b\n------------------------");
}
