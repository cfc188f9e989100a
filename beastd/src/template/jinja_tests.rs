use serde_json::json;

use super::*;

fn render(source: &str) -> Result<String, TemplateError> {
    Jinja::new(source)?.render(&json!({ "x": "a", "n": 1, "none": null, "yes": true, "list": [1, 2.5, "it's"] }))
}

fn is_too_complex(source: &str) -> bool {
    // minijinja reports its own nesting limit as a syntax error.
    matches!(render(source), Err(TemplateError::TooComplex(_) | TemplateError::Invalid(_)))
}

/// Templates that nest a syntax tree `n` deep, by every construct.
fn nests(n: usize) -> Vec<String> {
    let times = |text: &str| text.repeat(n);
    vec![
        format!("{{{{ {}x }}}}", times("not ")),
        format!("{{{{ {}n }}}}", times("-")),
        format!("{{{{ x{} }}}}", times("|trim")),
        format!("{{{{ x{} }}}}", times("|trim()")),
        format!("{{{{ x{} }}}}", times(" is string")),
        format!("{{{{ x{} }}}}", times(".a")),
        format!("{{{{ x{} }}}}", times("[0]")),
        format!("{{{{ x{} }}}}", times(".strip()")),
        format!("{{{{ x{} }}}}", times(" ~ x")),
        format!("{{{{ n{} }}}}", times(" + n")),
        format!("{{{{ n{} }}}}", times(" ** n")),
        format!("{{{{ x{} }}}}", times(" and x")),
        format!("{{{{ x{} }}}}", times(" if x else x")),
        format!("{{{{ {}x{} }}}}", times("("), times(")")),
        format!("{{{{ {}x{} }}}}", times("["), times("]")),
        format!("{{{{ {}x{} }}}}", times("{'a': "), times("}")),
        format!("{{{{ {}x{} }}}}", times("x["), times("]")),
        format!("{{% if n > 1 %}}{}{{% endif %}}", times("{% elif n > 1 %}")),
        format!("{}{}", times("{% if x %}"), times("{% endif %}")),
        format!("{}{}", times("{% for i in x %}"), times("{% endfor %}")),
        format!("{}{}", times("{% generation %}"), times("{% endgeneration %}")),
        format!("{}{}", times("{% filter trim %}"), times("{% endfilter %}")),
        format!("{{% raw %}}{{#{{% endraw %}}{{{{ {}x }}}}{{# #}}", times("not ")),
    ]
}

#[test]
fn what_nests_too_deep_is_an_error_instead_of_a_stack_overflow() {
    for source in nests(100_000).iter().chain(&nests(2_000)) {
        let beginning: String = source.chars().take(40).collect();
        assert!(is_too_complex(source), "{beginning}");
    }
}

#[test]
fn what_is_allowed_fits_the_stack() {
    for source in nests(400).iter().chain(&nests(100)).chain(&nests(30)) {
        // The result does not matter; the stack must not overflow.
        let _ = render(source);
    }
    assert_eq!(render(&nests(400)[0]), Ok("True".into()));
    assert_eq!(render(&nests(400)[2]), Ok("a".into()));
}

#[test]
fn a_loop_without_end_is_given_up() {
    let source = "{% for a in range(99999) %}{% for b in range(99999) %}{% set c = b %}{% endfor %}{% endfor %}";
    assert_eq!(render(source), Err(TemplateError::TooComplex("it takes too many steps".into())));
    let source = "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}";
    assert!(render(source).is_err());
    let source = "{% macro f(n) %}{% for i in range(9) %}{{ f(n + 1) if n < 9 }}{% endfor %}{% endmacro %}{{ f(1) }}";
    assert_eq!(render(source), Err(TemplateError::TooComplex("it takes too many steps".into())));
}

#[test]
fn text_without_end_is_given_up() {
    let text = "x".repeat(10_000);
    let source = format!("{{% for a in range(99999) %}}{text}{{% endfor %}}");
    assert_eq!(render(&source), Err(TemplateError::TooComplex("it produces too much text".into())));
}

/// A few steps of doubling would exhaust all memory.
#[test]
fn text_that_doubles_is_given_up() {
    let too_much = Err(TemplateError::TooComplex("it produces too much text".into()));
    for double in [
        "{% set ns.t = ns.t + ns.t %}",
        "{% set ns.t = ns.t ~ ns.t %}",
        "{% set ns.t %}{{ ns.t }}{{ ns.t }}{% endset %}",
    ] {
        let loops = format!("{{% for i in range(60) %}}{double}{{% endfor %}}");
        assert_eq!(render(&format!("{{% set ns = namespace(t='x') %}}{loops}")), too_much, "{double}");
    }
    let sets = "{% set a, b = 1, [2, {'c': 3}] %}{% set d %}{{ a }}{{ b }}{% endset %}{% set e | upper %}x{% endset %}";
    assert_eq!(render(&format!("{sets}{{{{ d ~ e }}}}")), Ok("1[2, {'c': 3}]X".into()));
}

/// Dropping, comparing and writing nested values recurses.
#[test]
fn values_nest_only_as_deep_as_fits_the_stack() {
    let nest = format!("{}ns.v{}", "[".repeat(60), "]".repeat(60));
    for use_it in ["", "{{ ns.v }}", "{{ ns.v | tojson }}", "{{ ns.v | string }}", "{{ [ns.v] | join }}"] {
        let result = |n: u32| {
            let loops = format!("{{% for a in range({n}) %}}{{% set ns.v = {nest} %}}{{% endfor %}}");
            render(&format!("{{% set ns = namespace(v=1) %}}{loops}{use_it}"))
        };
        assert!(result(3).is_ok(), "{use_it}: {:?}", result(3));
        let too_deep = "invalid operation: a value is nested more than 200 deep, line 1";
        assert_eq!(result(99_999), Err(TemplateError::Failed(too_deep.into())), "{use_it}");
    }
}

#[test]
fn a_value_within_itself_cannot_be_made() {
    for use_it in ["{{ ns }}", "{{ ns | tojson }}", "{{ ns ~ '' }}", "{{ [ns] | join }}", "{{ {'a': ns} | string }}"] {
        let source = format!("{{% set ns = namespace() %}}{{% set ns.v = ns %}}{use_it}");
        assert!(matches!(render(&source), Err(TemplateError::Failed(_))), "{source}");
    }
}

#[test]
fn values_are_written_as_python_writes_them() {
    let cases = [
        ("{{ yes }} {{ none }} {{ missing }}.", "True None ."),
        ("{{ list }}", "[1, 2.5, \"it's\"]"),
        ("{{ {'a': none, 'b': ['x']} | string }}", "{'a': None, 'b': ['x']}"),
        ("{{ [yes, 1] | join(', ') }}", "True, 1"),
        ("{{ 1e22 }} {{ 1.0 }} {{ 0.00001 }} {{ 1e15 }}", "1e+22 1.0 1e-05 1000000000000000.0"),
        ("{{ list | tojson(indent=2) }}", "[\n  1,\n  2.5,\n  \"it's\"\n]"),
        ("{{ {'b': 1, 'a': 'é'} | tojson(ensure_ascii=true, sort_keys=true) }}", "{\"a\": \"\\u00e9\", \"b\": 1}"),
        ("{{ {'b': [1, 2]} | tojson(separators=(',', ':')) }}", "{\"b\":[1,2]}"),
        ("{{ [] | tojson(indent=1) }}{{ {} | tojson(indent=1) }}", "[]{}"),
        ("{{ 'a\n\nb\n' | indent(2, first=true) }}|", "  a\n\n  b\n|"),
        ("{{ 'a-b-c'.rsplit('-', 1) }} {{ 'ab'.removeprefix('a') }} {{ 'a=b'.partition('=')[2] }}", "['a-b', 'c'] b b"),
        (
            "{{ 'x' is sequence }} {{ {} is sequence }} {{ none is iterable }} {{ yes is number }}",
            "True True False True",
        ),
        ("{{ missing | length }}", "0"),
        ("{{ 'a' ~ yes ~ none ~ list ~ missing ~ 1e22 }}", "aTrueNone[1, 2.5, \"it's\"]1e+22"),
        ("{% if not x ~ yes == 'aTrue' %}no{% else %}{{ -n ~ yes if x ~ n else n }}{% endif %}", "-1True"),
        ("{% set y = [x ~ yes, {'k': n + 1 ~ yes if no else (n ~ yes)}] %}{{ y }}", "['aTrue', {'k': '1True'}]"),
        ("{{ (x ~ yes) | upper ~ x[0:(1 ~ '')|int] }}{% for c in x ~ n %}{{ c ~ c }}{% endfor %}", "ATRUEaaa11"),
        (
            "{{ n is not string ~ x }}{{ (n not in list) ~ yes }}{{ ['b' ~ n ~ 'c', yes] ~ '' }}",
            "TrueaFalseTrue['b1c', True]",
        ),
        ("{%- generation -%} x {%- endgeneration %} y", "x y"),
        (
            "{{ 2 * 3 + n * -2 / 4 }} {{ '-' * 3 ~ 2 * x * 2 }} {{ [x] * 2 }} {{ 1.5 * 2 }} {{ yes * 2 }}",
            "5.5 ---aaaa ['a', 'a'] 3.0 2",
        ),
        ("{{ 2 ** 3 * 2 }} {{ -2 * -n }} {{ 7 // 2 * 2 % 4 }} {{ (1 + 2) * (n + 1) }}{{ x * -1 }}", "16 2 2 6"),
        (
            "{% macro f(a, b=x * 2) %}{{ a }}{{ b }}{{ varargs }}{% endmacro %}{{ f(*[1]) }}{{ f(a=2, **{'b': 3}) }}",
            "1aa23",
        ),
        (
            "{% with a = x, b = [x, n] %}{{ b }}{% endwith %}{% for i in range(9) if i is odd %}{{ i }}{% else %}-{% endfor %}",
            "['a', 1]1357",
        ),
        ("{% for i in [[1, [2]], 3] recursive %}{{ loop(i) if i is sequence else i }}{% endfor %}", "123"),
        ("{% macro f(a) -%}\n {{ caller(a + 1) }}\n{%- endmacro %}{% call(b) f(1) +%}\n{{ b }}{% endcall %}", "\n2"),
        (
            "{% set ns = namespace(l=[]) %}{% for i in list[:2] %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.l }}",
            "[1, 2.5]",
        ),
        (
            "{% set ns = namespace(i={'a': 1}.items()) %}{% set ns.j = [ns.i] %}{{ ns.i | list }}{{ ns.j[0][0] }}",
            "[['a', 1]]['a', 1]",
        ),
        (
            "{{ 'aXbX'.replace('X', '-') }}{{ 'abc'.count('') }}{{ '{:>3}|{}'.format(1, x) }}{{ '%3d|%s' | format(n, x) }}",
            "a-b-4  1|a  1|a",
        ),
        ("{% for i in [1, 2, 3] %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% endfor %}", "13"),
    ];
    for (source, text) in cases {
        assert_eq!(render(source), Ok(text.into()), "{source}");
    }
}

/// An escaped mark could not be found again, and the control token that it stands for would be lost.
#[test]
fn marks_are_never_escaped() {
    let source = "{{ '\u{f8ff}1\u{f8ff}é' | tojson(ensure_ascii=true) }}";
    assert_eq!(render(source), Ok("\"\u{f8ff}1\u{f8ff}\\u00e9\"".into()));
}

#[test]
fn what_is_set_between_generation_tags_stays_there() {
    let source = "{% set a = 1 %}{% generation %}{% set a = 2 %}{{ a }}{% endgeneration %}{{ a }}";
    assert_eq!(render(source), Ok("21".into()));
}

#[test]
fn an_error_says_what_is_missing() {
    let why = |source: &str| render(source).expect_err("an error").to_string();
    let lacks = "beastd does not support what it uses";
    assert_eq!(why("{{ frob(1) }}"), format!("{lacks}: unknown function: frob is unknown, line 1"));
    assert_eq!(why("{{ x | frob }}"), format!("{lacks}: unknown filter: filter frob is unknown, line 1"));
    assert_eq!(why("\n{% for %}"), "invalid Jinja: unexpected end of block, expected in, line 2");
    let raised = "{% macro f() %}{{ raise_exception('No.') }}{% endmacro %}{{ f() }}";
    assert_eq!(why(raised), "it refuses this conversation: No.");
}

#[test]
fn the_time_is_what_python_writes() {
    let time = jiff::civil::datetime(2026, 3, 5, 14, 7, 9, 0).to_zoned(jiff::tz::TimeZone::UTC).expect("a time");
    let text = clock::strftime("%Y-%m-%d %H:%M:%S %d %b %Y %B %A %a %-d %j %I %p %y 100%% %!", &time);
    assert_eq!(text, "2026-03-05 14:07:09 05 Mar 2026 March Thursday Thu 5 064 02 PM 26 100% %!");
    assert_eq!(clock::now("%Y").len(), 4);
}
