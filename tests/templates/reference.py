"""Renders conversations with many models' chat templates as their own library does, for comparison with beastd.

Usage: reference.py TEMPLATES_FOLDER > cases.jsonl
Each line: template, case, source, and for each form in which a program may give the conversation its context and text
(rendered) or the error (refused). The environment is that of transformers' apply_chat_template
(utils/chat_template_utils.py); the time is a fixed one.
"""

import json
import sys
from datetime import datetime
from pathlib import Path

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

REFUSALS = (jinja2.TemplateError, TypeError, ValueError, KeyError, AttributeError, RecursionError)
NOW = datetime(2026, 3, 5, 14, 7, 9)


class Generation(jinja2.ext.Extension):
    """`{% generation %}` marks what the model writes and passes it through."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_through"), [], [], body).set_lineno(line)

    def _through(self, caller):
        return caller()


def environment() -> jinja2.Environment:
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(
            value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )

    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = NOW.strftime
    return made


def turn(role: str, content: str, **more) -> dict:
    return {"role": role, "content": content, **more}


def call(name: str, number: int, **arguments) -> dict:
    # Mistral accepts only ids of nine letters and digits.
    return {"id": f"callid00{number}", "type": "function", "function": {"name": name, "arguments": arguments}}


def function(name: str, description: str, properties: dict, required: list[str]) -> dict:
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TOOLS = [
    function(
        "get_weather",
        "The weather at a place, \"now\" or <later>; it's é & 日本.",
        {
            "city": {"type": "string", "description": "Name of the city"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
            "days": {"type": "integer", "minimum": 1, "maximum": 14, "description": "How many days"},
        },
        ["city"],
    ),
    function(
        "book",
        "Books a trip",
        {
            "stops": {"type": "array", "items": {"type": "string"}, "description": "Places on the way"},
            "who": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "age": {"type": "number", "default": 1.5}},
                "required": ["name"],
            },
            "is_return": {"type": "boolean", "default": True},
        },
        ["stops", "who"],
    ),
]

# Schemas that some templates cannot render.
RICH = function(
    "rich",
    "Everything",
    {
        "note": {"type": ["string", "null"], "default": None},
        "either": {"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "One of two"},
        "level": {"enum": [1, 2.5, True, None, "x"]},
        "map": {"type": "object", "additionalProperties": {"type": "number"}},
        "huge": {"type": "integer", "maximum": 9007199254740993, "minimum": -0.0001, "default": 1e22},
        "list": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "number"}}}, "minItems": 0},
        "empty": {"type": "object", "properties": {}},
    },
    [],
)
SYSTEM = turn("system", "You are brief.")
HELLO = turn("user", "Hello, what's 1 < 2 && \"x\"?\n\nSecond paragraph: é 日本 🙂")
FIRST = call("get_weather", 1, city="Århus", days=3, unit="celsius")
SECOND = call("book", 2, stops=["a", "b"], who={"name": "O'Neil", "age": 2.5}, is_return=False, note=None)
ANSWER = turn("tool", '{"degrees": 21.5, "sky": "clear"}', tool_call_id="callid001", name="get_weather")
BOOKED = turn("tool", "booked", tool_call_id="callid002", name="book")
ASKED = [turn("user", "Weather?"), turn("assistant", "", tool_calls=[FIRST])]
SAID = [*ASKED, ANSWER, turn("assistant", "Clear, 21.5 degrees.")]

CONVERSATIONS = {
    "user": {"messages": [HELLO]},
    "system": {"messages": [SYSTEM, HELLO]},
    "turns": {"messages": [SYSTEM, HELLO, turn("assistant", "Hi."), turn("user", " Spaces around \n")]},
    "turns_alone": {"messages": [HELLO, turn("assistant", "Hi."), turn("user", "Bye")]},
    "finished": {"messages": [SYSTEM, HELLO, turn("assistant", "Hi.")], "add_generation_prompt": False},
    "thinking": {"messages": [SYSTEM, HELLO], "enable_thinking": True},
    "no_thinking": {"messages": [SYSTEM, HELLO], "enable_thinking": False},
    "thoughts": {
        "messages": [HELLO, turn("assistant", "Hi.", reasoning_content="A greeting.\n"), turn("user", "Bye")]
    },
    "tools": {"messages": [HELLO], "tools": TOOLS},
    "tools_system": {"messages": [SYSTEM, HELLO], "tools": TOOLS},
    "tools_rich": {"messages": [SYSTEM, HELLO], "tools": [RICH]},
    "tools_no_thinking": {"messages": [SYSTEM, HELLO], "tools": TOOLS, "enable_thinking": False},
    "called": {"messages": [*ASKED, ANSWER], "tools": TOOLS},
    "called_system": {"messages": [SYSTEM, *ASKED, ANSWER], "tools": TOOLS},
    "called_without_tools": {"messages": [*ASKED, ANSWER]},
    "called_thinking": {
        "messages": [
            turn("user", "Weather?"),
            turn("assistant", "I look.", reasoning_content="A tool knows.", tool_calls=[FIRST]),
            ANSWER,
        ],
        "tools": TOOLS,
        "enable_thinking": True,
    },
    "answered": {"messages": [*SAID, turn("user", "Thanks")], "tools": TOOLS},
    "called_twice": {
        "messages": [turn("user", "Weather?"), turn("assistant", "", tool_calls=[FIRST, SECOND]), ANSWER, BOOKED],
        "tools": TOOLS,
    },
    "called_again": {
        "messages": [*SAID, turn("user", "Book"), turn("assistant", "Now.", tool_calls=[SECOND]), BOOKED],
        "tools": TOOLS,
    },
}


def forms(given: dict):
    """How programs give the same: as transformers, without what there is none of, arguments as text, tools as text."""
    base = {
        "add_generation_prompt": True,
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "date_string": NOW.strftime("%d %b %Y"),
        "datetime": NOW.strftime("%b %d %Y"),
        **given,
    }
    whole = {"tools": None, "documents": None, **base}
    yield "whole", whole
    yield "undefined", base
    text = json.loads(json.dumps(whole))
    for call in (call for turn in text["messages"] for call in turn.get("tool_calls", [])):
        call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
    yield "text", text
    yield "functions", {**text, "functions": json.dumps(given["tools"]) if "tools" in given else ""}


def cases(folder: Path):
    for path in sorted(folder.glob("*.jinja")):
        source = path.read_text(encoding="utf-8")
        template = environment().from_string(source)
        for case, given in CONVERSATIONS.items():
            line = {"template": path.stem, "case": case, "source": source, "rendered": {}, "refused": {}}
            for form, context in forms(given):
                try:
                    line["rendered"][form] = {"context": context, "text": template.render(**context)}
                except REFUSALS as problem:
                    line["refused"][form] = {"context": context, "error": f"{type(problem).__name__}: {problem}"}
            yield line


def main() -> None:
    for line in cases(Path(sys.argv[1])):
        print(json.dumps(line))


if __name__ == "__main__":
    main()
