use std::time::{Duration, Instant};

use beast_protocol::ToolCall;
use beast_tests::dice::Dice;

use super::*;

/// No template may take this long, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most memory that rendering may take, far below what the hostile templates ask for.
const MEMORY: u64 = 2 << 30;

/// A template without the trial rendering, which rejects most hostile ones at once.
fn untried(source: &str) -> Result<ChatTemplate, TemplateError> {
    let dialect = Dialect::detect(source, &[]);
    Ok(ChatTemplate { jinja: Jinja::new(source)?, bos: "<bos>".into(), eos: "<eos>".into(), dialect })
}

fn turns(n: usize) -> Vec<Message> {
    let roles = [Role::User, Role::Assistant];
    (0..n).map(|n| Message::new(roles[n % 2], format!("Message {n}, some words long."))).collect()
}

/// Peak memory of this process since the last call.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    // Resets the peak.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0)
}

/// Templates that try to exhaust memory, time or the stack.
const HOSTILE: &[&str] = &[
    // Texts that double, by every way to bind a value.
    "{% macro f(t, n) %}{{ f(t ~ t, n - 1) if n }}{% endmacro %}{{ f('xx', 60) }}",
    "{% macro f(t, n) %}{{ f(t + t, n - 1) if n }}{% endmacro %}{{ f('xx', 60) }}",
    "{% macro f(t, n=60) %}{{ f([t[0] + t[0]], n - 1) if n }}{% endmacro %}{{ f(['xx']) }}",
    "{% macro f(n) %}{% if n %}{% call(t) f(n - 1) %}{{ caller(t + t) }}{% endcall %}{% else %}{{ caller('xx') }}{% endif %}{% endmacro %}{% call(t) f(60) %}{{ t }}{% endcall %}",
    "{% set l = ['xx'] %}{% set ns = namespace(l=l) %}{% for i in range(60) %}{% set ns.l = [ns.l[0] + ns.l[0]] %}{% endfor %}",
    "{% set ns = namespace(d={'a': 'xx'}) %}{% for i in range(60) %}{% set ns.d = {'a': ns.d.a ~ ns.d.a} %}{% endfor %}",
    "{% set ns = namespace(t='xx') %}{% for i in range(60) %}{% set ns.t = ns.t * 2 %}{% endfor %}",
    "{% set ns = namespace(t='xx') %}{% for i in range(60) %}{% set ns.t = ns.t|replace('x', ns.t) %}{% endfor %}",
    "{% set ns = namespace(t='xx') %}{% for i in range(60) %}{% set ns.t = ns.t.replace('x', ns.t) %}{% endfor %}",
    "{% set ns = namespace(t='xx') %}{% for i in range(60) %}{% set ns.t = ns.t|join(ns.t) %}{% endfor %}",
    "{% set ns = namespace(t='xx') %}{% for i in range(60) %}{% set ns.t = ns.t.join(ns.t|list) %}{% endfor %}",
    "{% set ns = namespace(t='x\n') %}{% for i in range(60) %}{% set ns.t = ns.t|indent(ns.t, true) %}{% endfor %}",
    "{% set ns = namespace(t='xx{0}{0}') %}{% for i in range(60) %}{% set ns.t = ns.t.format(ns.t) %}{% endfor %}",
    "{% set ns = namespace(t='%s%s') %}{% for i in range(60) %}{% set ns.t = ns.t|format(ns.t, ns.t) %}{% endfor %}",
    "{% for t in ['xx'] recursive %}{{ loop([t + t]) }}{% endfor %}",
    "{% for t in ['xx'] recursive %}{{ loop([t ~ t, t]) }}{% endfor %}",
    // Text that is produced but never output.
    "{% set t %}{% for i in range(99999) %}{% for j in range(99999) %}{{ 'x' * 99999 }}{% endfor %}{% endfor %}{% endset %}",
    "{% macro f() %}{% for i in range(99999) %}{{ 'x' * 99999 }}{% endfor %}{% endmacro %}{{ f()|length }}",
    // Lists.
    "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}{{ ns.l|length }}",
    "{% set ns = namespace(l=[]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}{{ ns.l|length }}",
    "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
    "{% macro f(l, n) %}{{ f([l, l], n - 1) if n else l == [l] }}{% endmacro %}{{ f([1], 400) }}",
    "{{ ([1] * 999999999999)|list|length }}",
    "{{ (([1] * 999999) * 999999)|length }}",
    "{{ ([[]] * 999999999999)|join }}",
    "{{ []|slice(999999999999) }}",
    "{{ [1]|batch(999999999999, 2) }}",
    "{{ 'x' * 999999999999 }}",
    "{{ 'x' * 99999999 }}",
    "{{ -9223372036854775808 * -1 * 170141183460469231731687303715884105727 }}",
    "{{ range(999999999999) }}{{ range(-9223372036854775808, 9223372036854775807) }}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% for k in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
    // Values that contain themselves.
    "{% set ns = namespace() %}{% set ns.v = ns %}{{ ns|trim }}",
    "{% set a = namespace() %}{% set b = namespace(v=a) %}{% set a.v = b %}{{ a == b }}",
    "{% set ns = namespace() %}{% set ns.v = [{'a': (ns,)}] %}{{ ns|pprint }}",
    "{% set ns = namespace(v=1) %}{% set ns.v = ns.items() %}{{ ns.v|list == [ns.v] }}",
    "{% set ns = namespace(v=1) %}{% set ns.v = [ns|items] %}{{ 'x' in ns.v }}{{ ns.v|title }}",
    "{% set ns = namespace(v=1) %}{% set ns.v = {'a': ns.values()} %}{{ ns.v|string }}{{ [ns.v, ns.v]|sort }}",
    "{% for x in [1] %}{% set ns = namespace() %}{% set ns.l = loop %}{{ ns.l|e }}{% endfor %}",
    "{{ debug() }}",
    // Unusual arguments of methods and filters.
    "{{ 'abc'.count('') }}",
    "{{ '%9999999999d'|format(1) }}",
    "{{ '%.999999999f'|format(1.5) }}",
    "{{ '%*d'|format(999999999, 1) }}",
    "{{ '{:>9999999999}'.format(1) }}",
    "{{ '{0:{1}}'.format(1, 9999999999) }}",
    "{% for i in [1] %}{{ loop.cycle() }}{% endfor %}",
    "{{ 1 | round(999999999) }}{{ 1.5 | round(-2147483648) }}{{ 10 ** 999 }}{{ 1 // 0 }}{{ 1 % 0 }}",
    "{{ 'x'[::-9223372036854775808] }}{{ 'xyz'[9223372036854775807:-9223372036854775808:-1] }}",
    "{{ [1, 2][::-9223372036854775808]|list }}{{ 'é'[1:][:-5][::2] }}",
    "{{ strftime_now('%999999999Y %' * 999) }}",
];

#[test]
fn hostile_templates_are_refused_or_bounded() {
    peak_memory();
    let before = peak_memory();
    for source in HOSTILE {
        for n in [1, 200] {
            let began = Instant::now();
            let text = untried(source).and_then(|template| template.render(&turns(n), &Setting::default()));
            assert!(began.elapsed() < PATIENCE, "{source} took {:?}", began.elapsed());
            let grown = peak_memory().saturating_sub(before);
            assert!(grown < MEMORY, "{source} took {grown} bytes");
            assert!(text.as_ref().map_or(0, String::len) < 8 << 20, "{source}: {text:?}");
        }
    }
}

/// Fragments of real models' templates.
const REAL: &[&str] = &[
    "{{- bos_token }}{%- for message in messages %}{{- '<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}",
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}\n{%- for message in messages[::-1] %}\n    {%- set index = (messages|length - 1) - loop.index0 %}\n    {%- if ns.multi_step_tool and message.role == \"user\" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}\n        {%- set ns.multi_step_tool = false %}\n        {%- set ns.last_query_index = index %}\n    {%- endif %}\n{%- endfor %}\n{%- for message in messages %}\n    {%- if message.content is string %}{%- set content = message.content %}{%- else %}{%- set content = '' %}{%- endif %}\n    {%- if message.role == \"assistant\" %}\n        {%- set reasoning_content = '' %}\n        {%- if '</think>' in content %}\n            {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}\n            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}\n        {%- endif %}\n        {%- if loop.index0 > ns.last_query_index and (loop.last or reasoning_content) %}\n            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}\n        {%- endif %}\n        {%- for tool_call in message.tool_calls or [] %}\n            {%- if tool_call.function %}{%- set tool_call = tool_call.function %}{%- endif %}\n            {{- '<tool_call>\\n{\"name\": \"' ~ tool_call.name ~ '\", \"arguments\": ' }}{{- tool_call.arguments if tool_call.arguments is string else tool_call.arguments | tojson }}{{- '}\\n</tool_call>' }}\n        {%- endfor %}\n    {%- else %}\n        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}\n    {%- endif %}\n{%- endfor %}",
    "{%- macro render_type(spec, depth=0) -%}{%- if spec.type == 'array' -%}{{ render_type(spec['items'] | default({}), depth + 1) + '[]' if depth < 5 else 'any' }}{%- elif spec.type == 'object' and spec.properties -%}{\n{%- for name, prop in spec.properties.items() -%}{{ name }}{%- if name not in (spec.required or []) -%}?{%- endif %}: {{ render_type(prop, depth + 1) }}{{ ', ' if not loop.last }}{%- endfor -%}}{%- else -%}{{ spec.type | default('any') }}{%- endif -%}{%- endmacro -%}{%- if tools -%}namespace functions {\n{% for tool in tools %}// {{ tool.function.description }}\ntype {{ tool.function.name }} = (_: {{ render_type(tool.function.parameters) }}) => any;\n{% endfor %}}{% endif %}{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}",
    "{% set ns = namespace(is_first=false, is_tool=false, system='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system = ns.system + ('\\n\\n' if ns.system else '') + message['content'] %}{%- endif %}{%- endfor %}{{ bos_token }}{{ ns.system }}{%- for message in messages if message.role != 'system' %}{%- generation %}{{ loop.index ~ ':' ~ message.content }}{%- endgeneration %}{% if loop.previtem and loop.previtem.role == message.role %}{% continue %}{% endif %}{{ eos_token }}{%- endfor -%}",
    "{%- if not date_string is defined %}{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}{{ date_string }}{%- set tools_by_name = {} %}{%- for role, group in messages | groupby('role') %}{{ role | upper }} ({{ group | length }}): {{ group | map(attribute='content') | select('string') | join('; ') if false else group | selectattr('role', 'equalto', 'user') | list | tojson(indent=2) }}{%- endfor %}{{ messages | map(attribute='content') | unique | sort | first | capitalize | indent(2) }}{{ (messages | last).content[:10] | replace('a', 'b') }}",
];

fn random_messages(dice: &mut Dice) -> Vec<Message> {
    const TEXTS: &[&str] =
        &["", "Hi", "<think>x</think>y", "{\"a\": [1]}", "\u{f8ff}0\u{f8ff}", "é\n\n  x ", "{{ 7 }}", "%s {0}"];
    let roles = [Role::System, Role::User, Role::Assistant, Role::Tool];
    let n = dice.one_of(&[0, 1, 2, 3, 8, 100]);
    let message = |_| {
        let text = dice.one_of(TEXTS).repeat(dice.one_of(&[1, 1, 1, 50]));
        let mut message = Message::new(dice.one_of(&roles), text);
        if dice.below(8) == 0 {
            message.reasoning = dice.one_of(TEXTS).to_owned();
        }
        if dice.below(8) == 0 {
            let arguments = dice.one_of(&["{\"a\": {\"b\": [1, null]}}", "no JSON", ""]).to_owned();
            message.tool_calls.push(ToolCall { id: "c1".into(), name: "f".into(), arguments });
        }
        message.tool_call_id = (message.role == Role::Tool).then(|| "c1".into());
        message
    };
    (0..n).map(message).collect()
}

/// Tokens to build random templates from.
const WORDS: &[&str] = &[
    "{% for x in messages %}",
    "{% endfor %}",
    "{% set ns.t = ns.t ~ ns.t %}",
    "{% set ns = namespace(t='x') %}",
    "{{ ns.t }}",
    "{% macro f(a, b=1) %}",
    "{% endmacro %}",
    "{{ f(1) }}",
    "{% call(x) f(2) %}",
    "{% endcall %}",
    "{% if x %}",
    "{% endif %}",
    "{% else %}",
    " recursive",
    "loop(x)",
    "loop.cycle(1)",
    "range(100000)",
    "|tojson(indent=4)",
    "|list",
    "|join(x)",
    "|replace('', 'xx')",
    ".split('')",
    ".format(x)",
    "|batch(3)",
    "|slice(9)",
    "[::-1]",
    " * 999",
    " + x",
    " ~ x",
    " ** 9",
    " // 0",
    "not ",
    "-",
    "(",
    ")",
    "[",
    "]",
    "{{",
    "}}",
    "{%- ",
    " -%}",
    "{% raw %}",
    "{% endraw %}",
    "{# ",
    " #}",
    "{% with a = x, b = a %}",
    "{% endwith %}",
    "{% filter upper %}",
    "{% endfilter %}",
    "{% set x %}",
    "{% endset %}",
    "{% break %}",
    "{% continue %}",
    "messages",
    "|items",
    "|groupby('role')",
];

#[test]
fn any_template_is_rendered_within_bounds_or_refused() {
    let corpus: Vec<&[u8]> = REAL.iter().chain(HOSTILE).map(|source| source.as_bytes()).collect();
    peak_memory();
    let before = peak_memory();
    beast_tests::fuzz::fuzz("templates", &corpus, WORDS, |bytes| {
        let source = String::from_utf8_lossy(bytes);
        let mut dice =
            Dice::new(bytes.iter().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte))));
        let Ok(template) = untried(&source) else { return };
        let messages = random_messages(&mut dice);
        let began = Instant::now();
        let parameters = json!({ "type": "object", "properties": { "a": { "type": "array" } } });
        let tools = vec![json!({ "type": "function", "function": { "name": "f", "parameters": parameters } })];
        let tools = if dice.below(2) == 0 { tools } else { Vec::new() };
        let _ = template.render(&messages, &Setting { tools, ..Setting::default() });
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        let grown = peak_memory().saturating_sub(before);
        assert!(grown < MEMORY, "{grown} bytes");
    });
}

#[test]
fn conversations_of_ten_thousand_messages_are_rendered() {
    let messages = turns(10_001);
    for (n, source) in REAL.iter().enumerate() {
        let began = Instant::now();
        let text = untried(source).expect("a real template").render(&messages, &Setting::default());
        let text = text.unwrap_or_else(|error| panic!("template {n}: {error}"));
        assert!(text.contains("Message 10000,"), "template {n}");
        assert!(began.elapsed() < PATIENCE, "template {n} took {:?}", began.elapsed());
    }
}
