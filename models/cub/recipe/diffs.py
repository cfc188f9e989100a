"""Generator of synthetic git diffs with imperative commit subjects.

Edits are applied to real source files found on this machine (Rust, Python, JavaScript,
C headers, Perl, shell) and to files written by a small multi-language code generator
(Go, TypeScript, Java, C, C++, Ruby, Python, Rust, JavaScript) and config/doc templates.
Names are recombined from real identifier vocabulary so that they have to be copied.

"prepare" collects vocabulary and code windows into WORK/code.json; "generate" writes
WORK/diffs.jsonl: {"task": "commit", "input": diff, "answer": subject, "src": op, "held"}.
Held-out diffs use source files that training diffs never use.
"""
import argparse, difflib, hashlib, itertools, json, random, re
from collections import Counter
from pathlib import Path

from sources import CRATES, INCLUDE, NODE, PERL, PYTHON

EXT = {"py": "py", "rs": "rs", "js": "js", "go": "go", "ts": "ts", "java": "java", "c": "c", "cpp": "cpp", "rb": "rb", "h": "h", "pl": "pm", "sh": "sh"}
CAMEL = {"js", "ts", "java", "go"}
COMMENT = {"py": "#", "rb": "#", "sh": "#", "pl": "#", "rs": "//", "js": "//", "go": "//", "ts": "//", "java": "//", "c": "//", "cpp": "//", "h": "//"}


# ------------------------------------------------------------------ vocabulary
class Vocab:
    def __init__(self, nouns, weights):
        self.nouns, self.nw = nouns, list(itertools.accumulate(weights))
        good = """get set add remove delete create build make parse read write load save open close init start stop run update check validate find
        fetch send receive handle process compute calculate convert format render print list count sort filter merge split join encode decode
        resolve register apply reset clear flush connect disconnect compare copy move push pop insert lookup normalize serialize deserialize
        escape unescape extract expand collect emit dispatch schedule retry wait notify subscribe publish download upload import export compile
        execute render scan match replace trim wrap unwrap verify sign encrypt decrypt hash truncate append prepare refresh sync lock unlock
        allocate free map reduce draw resize scroll select toggle enable disable log report install""".split()
        self.verbs = good

    def n(self, rng):
        return rng.choices(self.nouns, cum_weights=self.nw)[0]

    def snake(self, rng, verb=True):
        k = rng.choice([1, 1, 2])
        return "_".join(([rng.choice(self.verbs)] if verb else []) + [self.n(rng) for _ in range(k if verb else rng.choice([1, 2]))])

    def name(self, rng, lang, verb=True):
        s = self.snake(rng, verb)
        return camel(s) if lang in CAMEL else s

    def type(self, rng):
        return "".join(self.n(rng).capitalize() for _ in range(rng.choice([1, 2, 2]))) + rng.choice(["", "", "", "Error", "Config", "Manager", "Handler", "Client", "Options", "Builder", "State", "Request"])

    def const(self, rng):
        pre = rng.choice(["MAX", "MIN", "DEFAULT", "NUM", "", "", "BUF", "CACHE", "RETRY"])
        suf = rng.choice(["SIZE", "LIMIT", "TIMEOUT", "COUNT", "RETRIES", "LEN", "DELAY", "PORT", "INTERVAL", "DEPTH", "WORKERS", "BYTES", "MS"])
        mid = self.n(rng).upper() if rng.random() < .7 else ""
        return "_".join(x for x in (pre, mid, suf) if x)

    def file(self, rng, lang):
        base = rng.choice(["src", "lib", "app", "pkg", "internal", "tests", "core", "", "src/" + self.n(rng), "cmd", self.n(rng)])
        stem = self.n(rng) if rng.random() < .6 else self.snake(rng, False)
        if lang == "java":
            stem = "".join(p.capitalize() for p in stem.split("_"))
        return (base + "/" if base else "") + stem + "." + EXT[lang]


def camel(s):
    p = s.split("_")
    return p[0] + "".join(x.capitalize() for x in p[1:])


# ------------------------------------------------------------------ synthetic code
class Gen:
    """Writes small plausible functions in several languages."""

    def __init__(self, v, rng, lang):
        self.v, self.r, self.lang = v, rng, lang

    def nm(self, verb=False):
        return self.v.name(self.r, self.lang, verb)

    def stmt(self, kind, a, b, f):
        L = self.lang
        k = self.r.randint(0, 100)
        T = {
            "assign": {"py": f"{b} = {f}({a})", "rs": f"let {b} = {f}({a});", "js": f"const {b} = {f}({a});", "ts": f"const {b} = {f}({a});", "go": f"{b} := {f}({a})",
                       "java": f"var {b} = {f}({a});", "c": f"int {b} = {f}({a});", "cpp": f"auto {b} = {f}({a});", "rb": f"{b} = {f}({a})"},
            "guard": {"py": f"if not {a}:\n    return None", "rs": f"if {a}.is_empty() {{\n    return None;\n}}", "js": f"if (!{a}) {{\n  return null;\n}}",
                      "ts": f"if (!{a}) {{\n  return undefined;\n}}", "go": f"if {a} == nil {{\n\treturn nil, err\n}}", "java": f"if ({a} == null) {{\n    return null;\n}}",
                      "c": f"if (!{a})\n    return -1;", "cpp": f"if ({a}.empty()) {{\n    return {{}};\n}}", "rb": f"return nil if {a}.nil?"},
            "loop": {"py": f"for {b} in {a}:\n    {f}({b})", "rs": f"for {b} in {a}.iter() {{\n    {f}({b});\n}}", "js": f"for (const {b} of {a}) {{\n  {f}({b});\n}}",
                     "ts": f"for (const {b} of {a}) {{\n  {f}({b});\n}}", "go": f"for _, {b} := range {a} {{\n\t{f}({b})\n}}", "java": f"for (var {b} : {a}) {{\n    {f}({b});\n}}",
                     "c": f"for (int i = 0; i < {a}_len; i++)\n    {f}({a}[i]);", "cpp": f"for (const auto& {b} : {a}) {{\n    {f}({b});\n}}", "rb": f"{a}.each do |{b}|\n  {f}({b})\nend"},
            "call": {"py": f"{f}({a}, {k})", "rs": f"{f}(&{a}, {k});", "js": f"{f}({a}, {k});", "ts": f"{f}({a}, {k});", "go": f"{f}({a}, {k})", "java": f"{f}({a}, {k});",
                     "c": f"{f}({a}, {k});", "cpp": f"{f}({a}, {k});", "rb": f"{f}({a}, {k})"},
            "ret": {"py": f"return {b}", "rs": f"Some({b})", "js": f"return {b};", "ts": f"return {b};", "go": f"return {b}, nil", "java": f"return {b};", "c": f"return {b};",
                    "cpp": f"return {b};", "rb": f"{b}"},
            "iflt": {"py": f"if len({a}) > {k}:\n    {f}({a})", "rs": f"if {a}.len() > {k} {{\n    {f}({a});\n}}", "js": f"if ({a}.length > {k}) {{\n  {f}({a});\n}}",
                     "ts": f"if ({a}.length > {k}) {{\n  {f}({a});\n}}", "go": f"if len({a}) > {k} {{\n\t{f}({a})\n}}", "java": f"if ({a}.size() > {k}) {{\n    {f}({a});\n}}",
                     "c": f"if ({a}_len > {k})\n    {f}({a});", "cpp": f"if ({a}.size() > {k}) {{\n    {f}({a});\n}}", "rb": f"{f}({a}) if {a}.size > {k}"},
            "print": {"py": f'print("{b}", {a})', "rs": f'println!("{b}: {{:?}}", {a});', "js": f'console.log("{b}", {a});', "ts": f'console.log("{b}", {a});',
                      "go": f'fmt.Println("{b}", {a})', "java": f'System.out.println("{b} " + {a});', "c": f'printf("{b}: %d\\n", {a});', "cpp": f'std::cout << "{b}" << {a} << std::endl;',
                      "rb": f'puts "{b} #{{{a}}}"'},
        }
        return T[kind][L].split("\n")

    def indent(self):
        return {"py": "    ", "rs": "    ", "js": "  ", "ts": "  ", "go": "\t", "java": "    ", "c": "    ", "cpp": "    ", "rb": "  "}[self.lang]

    def sig(self, name, params):
        L = self.lang
        return {"py": (f"def {name}({', '.join(params)}):", None), "rs": (f"pub fn {name}({', '.join(p + ': &str' for p in params)}) -> Option<String> {{", "}"),
                "js": (f"function {name}({', '.join(params)}) {{", "}"), "ts": (f"export function {name}({', '.join(p + ': string' for p in params)}): string {{", "}"),
                "go": (f"func {name}({', '.join(params)} string) (string, error) {{", "}"), "java": (f"public static String {name}({', '.join('String ' + p for p in params)}) {{", "}"),
                "c": (f"int {name}({', '.join('char *' + p for p in params)})\n{{", "}"), "cpp": (f"std::string {name}({', '.join('const std::string& ' + p for p in params)}) {{", "}"),
                "rb": (f"def {name}({', '.join(params)})", "end")}[L]

    def func(self, name=None, params=None, n=None):
        name = name or self.nm(True)
        params = params or [self.nm() for _ in range(self.r.choice([1, 1, 2, 2, 3]))]
        head, tail = self.sig(name, params)
        ind = self.indent()
        out = head.split("\n")
        last = params[0]
        kinds = [self.r.choice(["assign", "assign", "guard", "loop", "call", "iflt"]) for _ in range(n or self.r.choice([1, 2, 2, 3, 4]))]
        for k in kinds:
            b = self.nm()
            a = self.r.choice(params) if self.r.random() < .6 else last
            out += [ind + s for s in self.stmt(k, a, b, self.nm(True))]
            if k == "assign":
                last = b
        out += [ind + s for s in self.stmt("ret", params[0], last, "")]
        if tail:
            out.append(tail)
        return name, params, out

    def file(self, nf=None):
        blocks, lines = [], self.header()
        for _ in range(nf or self.r.choice([1, 2, 2, 3, 4])):
            if lines and lines[-1] != "":
                lines.append("")
            if self.lang == "py" and lines:
                lines.append("")
            n, p, b = self.func()
            blocks.append((len(lines), len(lines) + len(b), n))
            lines += b
        return lines, blocks

    def header(self):
        v, r, L = self.v, self.r, self.lang
        m = [v.n(r) for _ in range(4)]
        h = {"py": [f"import {m[0]}", f"from {m[1]} import {v.name(r, 'py')}"], "rs": [f"use crate::{m[0]}::{v.type(r)};", f"use std::{r.choice(['fs', 'io', 'env', 'path::Path', 'time::Duration'])};"],
             "js": [f"const {m[0]} = require('{m[0]}');", f"const {{ {v.name(r, 'js')} }} = require('./{m[1]}');"], "ts": [f"import {{ {v.type(r)} }} from './{m[0]}';", f"import {m[1]} from '{m[1]}';"],
             "go": [f"package {m[0]}", "", "import (", '\t"fmt"', f'\t"{r.choice(["os", "strings", "errors", "time", "io"])}"', ")"], "java": [f"package com.{m[0]}.{m[1]};", "", f"import java.util.{r.choice(['List', 'Map', 'ArrayList', 'Optional'])};"],
             "c": [f'#include "{m[0]}.h"', f"#include <{r.choice(['stdio', 'stdlib', 'string', 'errno', 'unistd'])}.h>"], "cpp": [f'#include "{m[0]}.hpp"', f"#include <{r.choice(['string', 'vector', 'map', 'memory'])}>"],
             "rb": [f"require '{m[0]}'", f"require_relative '{m[1]}'"]}[L]
        if r.random() < .5:
            c = v.const(r)
            if L in CAMEL and r.random() < .6:
                c = camel(c.lower())
                c = c[0].upper() + c[1:] if r.random() < .4 else c
            k = r.choice([1, 2, 3, 5, 8, 10, 16, 20, 30, 60, 64, 100, 128, 256, 500, 1000, 1024, 4096, 8080])
            h += [""] + [{"py": f"{c} = {k}", "rs": f"const {c}: usize = {k};", "js": f"const {c} = {k};", "ts": f"export const {c} = {k};", "go": f"const {c} = {k}", "java": f"// {c} = {k}",
                          "c": f"#define {c} {k}", "cpp": f"constexpr int {c} = {k};", "rb": f"{c} = {k}"}[L]]
        return h


# ------------------------------------------------------------------ real code blocks
SIG = {"py": re.compile(r"^(\s*)(?:async )?def (\w+)\("), "rs": re.compile(r"^(\s*)(?:pub(?:\([^)]*\))? )?(?:const |async |unsafe )*fn (\w+)"),
       "js": re.compile(r"^(\s*)(?:export )?(?:async )?(?:function )?(\w+) ?\([^()]*\) \{$|^(\s*)(?:const|let) (\w+) = (?:async )?\([^()]*\) => \{$"),
       "pl": re.compile(r"^(\s*)sub (\w+)"), "sh": re.compile(r"^(\s*)(?:function )?(\w+) ?\(\)"), "h": re.compile(r"^(\s*)(?:static |inline |extern )+[\w\s*]*?\b(\w+)\([^;]*$")}


def find_blocks(lang, lines):
    out = []
    for i, l in enumerate(lines):
        m = SIG[lang].match(l)
        if not m:
            continue
        ind = m.group(1) if m.group(1) is not None else m.group(3)
        name = m.group(2) or m.group(4)
        if name in ("if", "for", "while", "switch", "catch", "function", "return"):
            continue
        if lang == "py":
            j = i + 1
            while j < len(lines) and (not lines[j].strip() or len(lines[j]) - len(lines[j].lstrip()) > len(ind)):
                j += 1
            while j > i + 1 and not lines[j - 1].strip():
                j -= 1
        else:
            j, depth, seen = i, 0, False
            while j < min(len(lines), i + 60):
                s = re.sub(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'', "", lines[j])
                depth += s.count("{") - s.count("}")
                seen |= "{" in s
                j += 1
                if seen and depth <= 0:
                    break
            else:
                continue
        s = i
        while s > 0 and (lines[s - 1].strip().startswith(("///", "#[", "@")) or (lines[s - 1].strip().startswith(("#", "//")) and lang != "sh")) and s > i - 12:
            s -= 1
        if 2 <= j - s <= 45:
            out.append((s, j, name))
    return out


class File:
    def __init__(self, lang, path, lines, blocks, g):
        self.lang, self.path, self.lines, self.blocks, self.g = lang, path, lines, blocks, g

    def enclosing(self, i):
        b = [x for x in self.blocks if x[0] <= i < x[1]]
        return min(b, key=lambda x: x[1] - x[0])[2] if b else None

    @property
    def base(self):
        return self.path.split("/")[-1]


# ------------------------------------------------------------------ diff rendering
def hunk_context(old, start):
    for i in range(start - 1, -1, -1):
        if re.match(r"[A-Za-z_$]", old[i]):
            return " " + old[i][:80].rstrip()
    return ""


def render(path, old, new, rng, newpath=None, index=True):
    newpath = newpath or path
    out = [f"diff --git a/{path} b/{newpath}"]
    h = lambda: "%07x" % rng.getrandbits(28)
    if old is None:
        out += ["new file mode 100644", f"index 0000000..{h()}", "--- /dev/null", f"+++ b/{path}"]
        old = []
    elif new is None:
        out += ["deleted file mode 100644", f"index {h()}..0000000", f"--- a/{path}", "+++ /dev/null"]
        new = []
    else:
        if index:
            out += [f"index {h()}..{h()} 100644"]
        out += [f"--- a/{path}", f"+++ b/{newpath}"]
    i = j = 0                                    # only diff the part between common prefix and suffix
    while i < min(len(old), len(new)) and old[i] == new[i]:
        i += 1
    while j < min(len(old), len(new)) - i and old[-1 - j] == new[-1 - j]:
        j += 1
    off = max(0, i - 3)
    d = list(difflib.unified_diff(old[off:len(old) - max(0, j - 3)], new[off:len(new) - max(0, j - 3)], n=3, lineterm=""))[2:]
    for l in d:
        m = re.match(r"@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@", l)
        if m:
            a = int(m.group(1)) + off if old else 0
            b = int(m.group(3)) + off if new else 0
            l = f"@@ -{a}{m.group(2) or ''} +{b}{m.group(4) or ''} @@" + (hunk_context(old, a - 1) if old else "")
        out.append(l)
    return out if d else None


# ------------------------------------------------------------------ operations on code files
def edit(f, i, j, new):
    return f.lines[:i] + new + f.lines[j:]


def op_add_func(f, v, r):
    if not f.blocks:
        return
    s, e, n = r.choice(f.blocks)
    body = f.lines[s:e]
    name = n
    if r.random() < .45 and re.match(r"^[a-z]", n):      # new name for a copied function body
        name = v.name(r, f.lang)
        body = [re.sub(rf"\b{re.escape(n)}\b", name, l) for l in body]
    if f.g is not None and r.random() < .5:
        name, _, body = f.g.func()
        at = s
        new = edit(f, at, at, body + [""] * (2 if f.lang == "py" else 1))
        return new, f"Add {name} function"
    # reverse of removal: old lacks the function
    old = f.lines[:s] + f.lines[e:]
    while s < len(old) and s > 0 and not old[s].strip() and not old[s - 1].strip():
        del old[s]
    f2 = f.lines[:s] + body + f.lines[e:]
    kind = "method" if f.lang in ("py", "rs", "js") and body and re.match(r"\s", f.lines[e - 1 if f.lang != "py" else s]) and re.search(r"\bself\b|this\.", "\n".join(body[:3])) else "function"
    return ("swap", old, f2), f"Add {name} {kind}"


def op_remove_func(f, v, r):
    if len(f.blocks) < 1:
        return
    s, e, n = r.choice(f.blocks)
    new = f.lines[:s] + f.lines[e:]
    while s < len(new) and s > 0 and not new[s].strip() and not new[s - 1].strip():
        del new[s]
    used = sum(len(re.findall(rf"\b{re.escape(n)}\b", l)) for l in new)
    return new, f"Remove unused {n} function" if not used and r.random() < .3 else f"Remove {n} function"


def op_rename(f, v, r):
    ids = Counter(w for l in f.lines[:120] for w in re.findall(r"\b[a-zA-Z_]\w{3,}\b", l))
    names = {b[2] for b in f.blocks}
    cand = [w for w, c in ids.items() if 1 <= c <= 7 and (w in names or ("_" in w or re.search(r"[a-z][A-Z]", w))) and w not in ("self",)]
    if not cand:
        return
    w = r.choice(cand)
    if w.isupper():
        nw = v.const(r)
    elif w[0].isupper():
        nw = v.type(r)
    elif "_" in w or f.lang not in CAMEL:
        nw = v.snake(r, w in names) if r.random() < .5 else "_".join(w.split("_")[:-1] + [v.n(r)])
    else:
        nw = camel(v.snake(r, w in names))
    if nw == w or not nw:
        return
    new = [re.sub(rf"\b{re.escape(w)}\b", nw, l) for l in f.lines]
    return new, f"Rename {w} to {nw}"


NUM = re.compile(r"(?:#define |\b)([A-Za-z_]\w{3,})\b((?:\s*:\s*\w+)?\s*(?::=|=|:)\s*|\s+(?=\d+\s*$))(\d+)\b(?![\w.]|\s*[*/+<-])")


def op_const(f, v, r):
    c = [(i, m) for i, l in enumerate(f.lines) for m in [NUM.search(l)] if m]
    if not c:
        return
    i, m = r.choice(c)
    old = int(m.group(3))
    new = r.choice([old * 2, old * 4, old + 1, old // 2, old * 10, old + 5, max(old - 1, 0), r.choice([5, 10, 20, 50, 100, 300, 512, 2048, 9000])])
    if new == old:
        return
    l = f.lines[i][:m.start(3)] + str(new) + f.lines[i][m.end(3):]
    n = m.group(1)
    return edit(f, i, i + 1, [l]), (f"Increase {n} to {new}" if new > old else f"Decrease {n} to {new}")


def misspell(w, r):
    k = r.randint(1, len(w) - 2)
    t = r.random()
    if t < .4:
        return w[:k] + w[k + 1] + w[k] + w[k + 2:] if k + 1 < len(w) else w
    if t < .7:
        return w[:k] + w[k + 1:]
    return w[:k] + w[k] + w[k:]


def op_typo(f, v, r):
    c = [i for i, l in enumerate(f.lines) if re.match(r"\s*(#|//|\*|/\*)", l) and re.search(r"[a-z]{6,}", l) and "#[" not in l]
    if not c:
        return
    i = r.choice(c)
    ws = [m for m in re.finditer(r"\b[a-z]{6,}\b", f.lines[i])]
    if not ws:
        return
    m = r.choice(ws)
    bad = misspell(m.group(0), r)
    if bad == m.group(0):
        return
    old = edit(f, i, i + 1, [f.lines[i][:m.start()] + bad + f.lines[i][m.end():]])
    return ("swap", old, f.lines), r.choice(["Fix typo in comment"] + [f"Fix typo in {f.base}"] * 2)


def op_comment(f, v, r):
    c = COMMENT.get(f.lang)
    b = [x for x in f.blocks]
    if not b:
        return
    s, e, n = r.choice(b)
    ind = re.match(r"\s*", f.lines[s]).group(0)
    what = " ".join(re.findall(r"[A-Z]?[a-z]+|[A-Z]+", n)).lower()
    first = what.split(" ")[0]
    desc = (first + ("es" if first.endswith(("s", "sh", "ch")) else "s") + what[len(first):]).capitalize() if first in v.verbs else "Helper for " + what
    if f.lang == "py":
        k = s
        while k < e and not f.lines[k].rstrip().endswith(":"):
            k += 1
        if k >= e or any('"""' in l for l in f.lines[k:k + 2]):
            return
        new = edit(f, k + 1, k + 1, [ind + '    """' + desc + "." + '"""'])
        return new, f"Add docstring to {n}"
    if f.lines[s].strip().startswith(("//", "#", "/*")):
        return
    mark = "///" if f.lang == "rs" else c
    new = edit(f, s, s, [f"{ind}{mark} {desc}."])
    return new, f"Document {n}" if r.random() < .5 or f.lang in ("rs",) else f"Add comment to {n}"


def op_param(f, v, r):
    if not f.blocks:
        return
    s, e, n = r.choice(f.blocks)
    for i in range(s, min(e, s + 4)):
        m = re.search(rf"\b{re.escape(n)}(?:<[^>]*>)?\(([^()]*)\)", f.lines[i])
        if m:
            p = v.name(r, f.lang, False)
            add = {"py": r.choice([p, p + "=None", p + "=False", p + "=True"]), "rs": p + ": " + r.choice(["bool", "usize", "&str", "Option<u64>"]), "ts": p + ": " + r.choice(["string", "number", "boolean"]),
                   "go": p + " " + r.choice(["string", "int", "bool"]), "java": r.choice(["int ", "boolean ", "String "]) + p, "c": r.choice(["int ", "size_t ", "const char *"]) + p,
                   "cpp": r.choice(["int ", "bool "]) + p, "js": p, "rb": p, "pl": None, "sh": None, "h": "int " + p}.get(f.lang)
            if not add:
                return
            cur = m.group(1).strip().rstrip(",")
            rep = f"{cur}, {add}" if cur else add
            rem = r.random() < .25 and "," in cur
            if rem:
                last = cur.split(",")[-1].strip()
                mm = re.match(r"(?:\*{0,2}|(?:const |int |char |bool |String |size_t )*\*?)?(\w+)", last)
                if not mm or not mm.group(1):
                    return
                rep, msg = ",".join(cur.split(",")[:-1]), f"Remove {mm.group(1)} parameter from {n}"
                if mm.group(1) in ("int", "char", "bool", "String", "size_t", "const", "mut", "self"):
                    return
            else:
                msg = f"Add {p} parameter to {n}"
            l = f.lines[i][:m.start(1)] + rep + f.lines[i][m.end(1):]
            return edit(f, i, i + 1, [l]), msg


def op_cmp(f, v, r):
    c = [(i, m) for i, l in enumerate(f.lines) for m in [re.search(r"^\s*(?:\}? ?(?:el)?if|while|for)\b.*?(<=|>=|<|>|==|!=)", l)] if m and f.enclosing(i) and not re.search(r"<\w+>|->|=>", l)]
    if not c:
        return
    i, m = r.choice(c)
    o = m.group(1)
    n = {"<=": "<", "<": "<=", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}[o]
    l = f.lines[i][:m.start(1)] + n + f.lines[i][m.end(1):]
    fn = f.enclosing(i)
    return edit(f, i, i + 1, [l]), (f"Fix off-by-one error in {fn}" if o not in ("==", "!=") else f"Fix inverted condition in {fn}")


def op_guard(f, v, r):
    b = [x for x in f.blocks if f.lang in ("py", "js", "ts", "go", "java", "c", "cpp", "rb", "rs")]
    if not b:
        return
    s, e, n = r.choice(b)
    k = s
    while k < e and not re.search(r"[:{]\s*$", f.lines[k]) and f.lang != "rb":
        k += 1
    if k >= e:
        return
    sig = " ".join(f.lines[s:k + 1])
    m = re.search(r"\(([^()]*)\)", sig)
    if not m:
        return
    ps = [p.strip().split(":")[0].split("=")[0].split(" ")[-1].strip("*&") for p in m.group(1).split(",")]
    ps = [p for p in ps if re.match(r"^[a-z_]\w+$", p) and p not in ("self", "cls", "string", "int")]
    if not ps:
        return
    p = r.choice(ps)
    ind = re.match(r"\s*", f.lines[k]).group(0)
    one = {"js": "  ", "ts": "  ", "rb": "  ", "go": "\t"}.get(f.lang, "    ")
    g = {"py": [f"if {p} is None:", f"    return {r.choice(['None', 'False', '[]', ''])}".rstrip()], "js": [f"if (!{p}) {{", "  return;", "}"], "ts": [f"if ({p} === undefined) {{", "  return;", "}"],
         "go": [f"if {p} == nil {{", "\treturn nil", "}"], "java": [f"if ({p} == null) {{", "    return;", "}"], "c": [f"if ({p} == NULL)", "    return -1;"], "cpp": [f"if (!{p}) {{", "    return;", "}"],
         "rb": [f"return if {p}.nil?"], "rs": [f"if {p}.is_empty() {{", "    return;", "}"]}[f.lang]
    what = {"py": "None", "js": f"missing {p}", "ts": f"undefined {p}", "go": "nil", "java": "null", "c": "NULL", "cpp": "null", "rb": "nil", "rs": "empty"}[f.lang]
    msg = f"Handle {what} in {n}" if p in what else f"Handle {what} {p} in {n}"
    if f.lang == "py" and r.random() < .3:
        g = [f"if not {p}:", f'    raise ValueError("{p} must not be empty")']
        msg = f"Raise ValueError for empty {p} in {n}"
    return edit(f, k + 1, k + 1, [ind + one + x for x in g]), msg


PRINT = re.compile(r"^\s*(print\(|console\.(log|debug)\(|println!\(|eprintln!\(|dbg!\(|fmt\.Print|System\.out\.print|printf\(|puts )")


def op_print(f, v, r):
    if not f.blocks or f.g is None and f.lang not in ("py", "js", "rs"):
        return
    s, e, n = r.choice(f.blocks)
    if e - s < 3:
        return
    i = r.randint(s + 1, e - 1)
    while i < e and not re.match(r"\s+\w", f.lines[i]):
        i += 1
    if i >= e:
        return
    ind = re.match(r"\s*", f.lines[i]).group(0)
    g = f.g or Gen(v, r, f.lang)
    ids = re.findall(r"\b[a-z_]\w{2,}\b", " ".join(f.lines[s:i])) or ["value"]
    st = [ind + x for x in g.stmt("print", r.choice(ids), r.choice(["debug", "here", "DEBUG", v.n(r), "got"]), "")]
    old = edit(f, i, i, st)
    if r.random() < .7:
        return ("swap", old, f.lines), f"Remove debug print from {n}" if r.random() < .75 else f"Remove debug output from {n}"
    lg = {"py": f'{ind}logger.{r.choice(["debug", "info", "warning"])}("{n}: %s", {r.choice(ids)})', "js": f'{ind}logger.info("{n}", {r.choice(ids)});', "ts": f'{ind}logger.info("{n}", {r.choice(ids)});',
          "rs": f'{ind}tracing::debug!("{n}: {{:?}}", {r.choice(ids)});', "go": f'{ind}log.Printf("{n}: %v", {r.choice(ids)})', "java": f'{ind}log.info("{n} {{}}", {r.choice(ids)});'}.get(f.lang)
    if not lg:
        return
    return edit(f, i, i, [lg]), f"Add logging to {n}"


IMP = {"py": r"^(?:import ([\w.]+)|from [\w.]+ import (\w+))$", "rs": r"^use (?:[\w]+::)+(\w+);$", "js": r"^(?:const|var|let) (\w+) = require\(.*\);?$", "ts": r"^import \{? ?(\w+) ?\}? from .*$",
       "go": r'^\t"([\w/]+)"$', "java": r"^import (?:\w+\.)+(\w+);$", "c": r"^#include <([\w.]+)>$", "cpp": r"^#include <([\w.]+)>$", "rb": r"^require '(\w+)'$"}


def op_import(f, v, r):
    if f.lang not in IMP:
        return
    c = [(i, m) for i, l in enumerate(f.lines[:80]) for m in [re.match(IMP[f.lang], l)] if m]
    if not c:
        return
    i, m = r.choice(c)
    n = next(x for x in m.groups() if x)
    w = {"c": "include", "cpp": "include"}.get(f.lang, "import")
    if r.random() < .65:
        return f.lines[:i] + f.lines[i + 1:], f"Remove unused {w} {n}" if r.random() < .6 else f"Remove unused {n} {w}"
    return ("swap", f.lines[:i] + f.lines[i + 1:], f.lines), f"Add missing {w} {n}" if w == "include" else f"Import {n}"


def op_public(f, v, r):
    if f.lang == "rs":
        c = [(i, m) for i, l in enumerate(f.lines) for m in [re.match(r"^(\s*)(pub )?fn (\w+)", l)] if m]
        if not c:
            return
        i, m = r.choice(c)
        l = f.lines[i]
        if m.group(2):
            return edit(f, i, i + 1, [l.replace("pub fn", r.choice(["fn", "pub(crate) fn"]), 1)]), f"Make {m.group(3)} private"
        return edit(f, i, i + 1, [l.replace("fn ", "pub fn ", 1)]), f"Make {m.group(3)} public"
    if f.lang in ("py", "js"):
        c = [(i, m) for i, l in enumerate(f.lines) for m in [re.match(r"^(\s*)(async )?(?:def|function) (\w+)", l)] if m]
        if not c:
            return
        i, m = r.choice(c)
        kw = "def " if f.lang == "py" else "function "
        if m.group(2):
            return edit(f, i, i + 1, [f.lines[i].replace("async ", "", 1)]), f"Make {m.group(3)} synchronous"
        return edit(f, i, i + 1, [f.lines[i].replace(kw, "async " + kw, 1)]), f"Make {m.group(3)} async"
    if f.lang in ("ts",):
        c = [(i, m) for i, l in enumerate(f.lines) for m in [re.match(r"^export function (\w+)", l)] if m]
        if not c:
            return
        i, m = r.choice(c)
        return ("swap", edit(f, i, i + 1, [f.lines[i].replace("export ", "", 1)]), f.lines), f"Export {m.group(1)}"


STR = re.compile(r'"([A-Za-z][A-Za-z ,\'-]{12,60})"')


def op_string(f, v, r):
    c = [(i, m) for i, l in enumerate(f.lines) for m in [STR.search(l)] if m and not l.strip().startswith(("#", "//", "///"))]
    if not c:
        return
    i, m = r.choice(c)
    ws = m.group(1).split(" ")
    if len(ws) < 3:
        return
    t = r.random()
    if t < .4:
        ws[r.randrange(len(ws))] = v.n(r)
    elif t < .7:
        ws = ws + [r.choice(["for", "in", "from", "of"]), v.n(r)]
    else:
        ws = ws[:-1]
    l = f.lines[i]
    new = l[:m.start(1)] + " ".join(ws) + l[m.end(1):]
    fn = f.enclosing(i)
    err = re.search(r"raise|err|Error|panic|expect|throw|die|warn", l)
    what = "error message" if err else "message" if re.search(r"print|log|info|help|msg|message", l) else "text"
    return edit(f, i, i + 1, [new]), f"Update {what} in {fn}" if fn else f"Update {what} in {f.base}"


def op_field(f, v, r):
    t = v.type(r)
    L = f.lang
    if L not in ("rs", "go", "ts", "c", "cpp", "java", "py"):
        return
    n = v.name(r, L if L != "go" else "ts", False)
    if L == "go":
        n = n[0].upper() + n[1:]
    fs = [v.name(r, L if L != "go" else "ts", False) for _ in range(r.choice([2, 3, 4]))]
    if L == "go":
        fs = [x[0].upper() + x[1:] for x in fs]
    ty = lambda: {"rs": r.choice(["String", "usize", "bool", "Option<String>", "Vec<u8>", "u64"]), "go": r.choice(["string", "int", "bool", "[]byte"]), "ts": r.choice(["string", "number", "boolean"]),
                  "c": "int", "cpp": r.choice(["int", "std::string", "bool"]), "java": r.choice(["int", "String", "boolean"]), "py": r.choice(["str", "int", "bool", "float"])}[L]
    fm = lambda x: {"rs": f"    pub {x}: {ty()},", "go": f"\t{x} {ty()}", "ts": f"  {x}: {ty()};", "c": f"    int {x};", "cpp": f"    {ty()} {x};", "java": f"    private {ty()} {x};", "py": f"    {x}: {ty()}"}[L]
    head = {"rs": f"pub struct {t} {{", "go": f"type {t} struct {{", "ts": f"export interface {t} {{", "c": f"struct {t} {{", "cpp": f"struct {t} {{", "java": f"public class {t} {{", "py": f"class {t}:"}[L]
    tail = {"rs": "}", "go": "}", "ts": "}", "c": "};", "cpp": "};", "java": "}", "py": None}[L]
    if L == "rs" and r.random() < .35:
        head = f"pub enum {t} {{"
        fm = lambda x: "    " + "".join(p.capitalize() for p in x.split("_")) + ","
        n2, what = "".join(p.capitalize() for p in n.split("_")), "variant"
    else:
        n2, what = n, "field"
    base = [fm(x) for x in fs]
    k = r.randint(0, len(base))
    new = base[:k] + [fm(n)] + base[k:]
    pre, post = (["#[derive(Debug, Clone)]"] if L == "rs" else ["@dataclass"] if L == "py" else []) + [head], [tail] if tail else []
    lead = f.lines[:r.choice([0, 2, 4])]
    mk = lambda body: lead + [""] + pre + body + post + [""] + f.lines[:6]
    a, b = mk(base), mk(new)
    if r.random() < .3:
        return ("swap", b, a), f"Remove {n2} {what} from {t}"
    return ("swap", a, b), f"Add {n2} {what} to {t}"


def op_test(f, v, r):
    L = f.lang
    if L not in ("py", "rs", "js", "ts", "go", "rb", "java"):
        return
    fn = r.choice(f.blocks)[2] if f.blocks and r.random() < .6 else v.name(r, L)
    if fn.startswith("test"):
        return
    what = r.choice([None, "empty_input", "invalid_" + v.n(r), "missing_" + v.n(r), v.n(r), "unicode", "negative_" + v.n(r)])
    a, k = v.name(r, L, False), r.randint(0, 50)
    sn = re.sub(r"(?<=[a-z])([A-Z])", lambda m: "_" + m.group(1).lower(), fn).lower()
    tn = "test_" + sn + (f"_{what}" if what else "")
    C = "".join(p.capitalize() for p in tn.split("_"))
    T = {"py": [f"def {tn}():", f"    {a} = {fn}({r.choice(['None', k, repr(v.n(r))])})", f"    assert {a} == {k}"],
         "rs": ["    #[test]", f"    fn {tn[5:]}() {{", f"        let {a} = {fn}({k});", f"        assert_eq!({a}, {r.randint(0, 9)});", "    }"],
         "js": [f"test('{tn[5:].replace('_', ' ')}', () => {{", f"  expect({fn}({k})).toBe({r.randint(0, 9)});", "});"], "ts": [f"it('{tn[5:].replace('_', ' ')}', () => {{", f"  expect({fn}({k})).toEqual({r.randint(0, 9)});", "});"],
         "go": [f"func {C}(t *testing.T) {{", f"\t{a} := {fn}({k})", f"\tif {a} != {r.randint(0, 9)} {{", f'\t\tt.Errorf("got %v", {a})', "\t}", "}"],
         "rb": [f"  def {tn}", f"    assert_equal {k}, {fn}({r.randint(0, 9)})", "  end"], "java": ["    @Test", f"    void {camel(tn)}() {{", f"        assertEquals({k}, {fn}({r.randint(0, 9)}));", "    }"]}[L]
    other = []
    for _ in range(r.choice([1, 2])):
        o = v.name(r, L)
        other += {"py": [f"def test_{o}():", f"    assert {o}({r.randint(0, 9)})", "", ""], "rs": ["    #[test]", f"    fn {o}() {{", f"        assert!({o}_ok());", "    }", ""], "js": [f"test('{o}', () => {{", f"  expect({o}()).toBe(true);", "});", ""],
                  "ts": [f"it('{o}', () => {{", f"  expect({o}()).toBe(true);", "});", ""], "go": [f"func Test{o[0].upper() + o[1:]}(t *testing.T) {{", f"\t{o}(t)", "}", ""], "rb": [f"  def test_{o}", f"    assert {o}", "  end", ""],
                  "java": ["    @Test", f"    void {o}() {{", f"        assertTrue({o}Ok());", "    }", ""]}[L]
    stem = f.base.rsplit(".", 1)[0]
    path = {"py": f"tests/test_{stem}.py", "rs": f"tests/{stem}.rs", "js": f"test/{stem}.test.js", "ts": f"src/{stem}.spec.ts", "go": f"{stem}_test.go", "rb": f"test/{stem}_test.rb", "java": f"src/test/java/{stem}Test.java"}[L]
    while other and other[-1] == "":
        other.pop()
    old = other
    new = other + ["", ""][:2 if L == "py" else 1] + T
    human = f" with {what.replace('_', ' ')}" if what else ""
    if L in ("js", "ts", "go", "rb", "java", "py", "rs") and r.random() < .12:
        return ("path", path, new, old), f"Remove test for {fn}{human}"
    return ("path", path, old, new), f"Add test for {fn}{human}"


def op_update(f, v, r):
    """A change with no simple name: a few lines of one function replaced or added."""
    b = [x for x in f.blocks if x[1] - x[0] > 4]
    if not b:
        return
    s, e, n = r.choice(b)
    body = [i for i in range(s + 1, e - 1) if re.match(r"\s+\w", f.lines[i])]
    if len(body) < 3:
        return
    other = [f.lines[i] for x in f.blocks for i in range(x[0] + 1, x[1] - 1) if re.match(r"\s+\w", f.lines[i])]
    new = list(f.lines)
    for _ in range(r.choice([1, 2, 2, 3])):
        i = r.choice(body)
        t = r.random()
        ind = re.match(r"\s*", f.lines[i]).group(0)
        o = ind + r.choice(other).strip()
        ids = re.findall(r"\b[a-z_]\w{3,}\b", new[i] or "")
        if t < .4 and ids:
            w = r.choice(ids)
            new[i] = new[i].replace(w, v.name(r, f.lang, r.random() < .5), 1)
        elif t < .7:
            new[i] = o
        else:
            new[i] = (new[i] or "") + "\n" + o
    return [x for l in new for x in l.split("\n")], f"Update {n}"


def op_replace_call(f, v, r):
    """One call replaced by another in one function."""
    b = f.blocks
    if not b:
        return
    s, e, n = r.choice(b)
    c = [(i, m) for i in range(s + 1, e) for m in re.finditer(r"\b([a-z_][\w.]{3,})\(", f.lines[i]) if not re.match(r"\s*(def|fn|function|if|for|while|return)$", m.group(1))]
    if not c:
        return
    i, m = r.choice(c)
    o = m.group(1).split(".")[-1]
    if o in ("if", "for", "while", "switch", "return", n):
        return
    nn = v.name(r, f.lang)
    new = f.lines[i][:m.end(1) - len(o)] + nn + f.lines[i][m.end(1):]
    return edit(f, i, i + 1, [new]), f"Use {nn} instead of {o} in {n}"


def op_unwrap(f, v, r):
    if f.lang == "rs":
        c = [i for i, l in enumerate(f.lines) if ".unwrap()" in l and f.enclosing(i)]
        if not c:
            c2 = [i for i, l in enumerate(f.lines) if re.search(r"\)\?;", l) and f.enclosing(i)]
            if not c2:
                return
            i = r.choice(c2)
            old = edit(f, i, i + 1, [f.lines[i].replace(")?;", ").unwrap();", 1)])
            return ("swap", old, f.lines), f"Replace unwrap with error propagation in {f.enclosing(i)}"
        i = r.choice(c)
        if r.random() < .5:
            return edit(f, i, i + 1, [f.lines[i].replace(".unwrap()", "?", 1)]), f"Replace unwrap with error propagation in {f.enclosing(i)}"
        return edit(f, i, i + 1, [f.lines[i].replace(".unwrap()", f'.expect("{v.n(r)} should be valid")', 1)]), f"Replace unwrap with expect in {f.enclosing(i)}"
    if f.lang in ("py", "js", "ts", "java", "go"):
        g = Gen(v, r, f.lang)
        n, p, body = g.func(n=r.choice([1, 2]))
        ind = g.indent()
        k = 1
        x = v.name(r, f.lang)
        call = {"py": f"{x}({p[0]})", "js": f"{x}({p[0]});", "ts": f"{x}({p[0]});", "java": f"{x}({p[0]});", "go": f"{x}({p[0]})"}[f.lang]
        ex = r.choice(["ValueError", "OSError", "KeyError", "TimeoutError", "ConnectionError"])
        wrapped = {"py": ["try:", f"    {call}", f"except {ex} as e:", f'    log.error("{x} failed: %s", e)'], "js": ["try {", f"  {call}", "} catch (err) {", "  console.error(err);", "}"],
                   "ts": ["try {", f"  {call}", "} catch (err) {", "  console.error(err);", "}"], "java": ["try {", f"    {call}", "} catch (IOException e) {", "    throw new RuntimeException(e);", "}"],
                   "go": [f"if err := {call}; err != nil {{", "\treturn \"\", err", "}"]}[f.lang]
        a = body[:k] + [ind + call] + body[k:]
        b = body[:k] + [ind + w for w in wrapped] + body[k:]
        what = {"py": ex, "js": "errors", "ts": "errors", "java": "IOException", "go": "errors"}[f.lang]
        return ("swap", a, b), f"Handle {what} from {x} in {n}"


def op_move(f, v, r):
    if len(f.blocks) < 2 or len(f.lines) > 120:
        return
    s, e, n = r.choice(f.blocks)
    g = f.g or (Gen(v, r, f.lang) if f.lang in ("py", "rs", "js") else None)
    if g is None or e - s > 18:
        return
    o, ob = g.file(1)
    p2 = v.file(r, f.lang)
    body = f.lines[s:e]
    return ("multi", [(f.path, f.lines, f.lines[:s] + f.lines[e:]), (p2, o, o + [""] + body)]), f"Move {n} to {p2.split('/')[-1]}"


def op_newfile(f, v, r):
    n = min(len(f.lines), r.choice([8, 14, 22, 32]))
    t = r.random()
    if t < .5:
        return ("multi", [(f.path, None, f.lines[:n])]), f"Add {f.base}"
    if t < .9:
        return ("multi", [(f.path, f.lines[:n], None)]), f"Remove {f.base}"
    return None


def op_add_and_test(f, v, r):
    if f.g is None or f.lang not in ("py", "rs", "go", "js", "ts"):
        return
    name, params, body = f.g.func()
    at = f.blocks[0][0] if f.blocks else len(f.lines)
    new = f.lines[:at] + body + [""] * (2 if f.lang == "py" else 1) + f.lines[at:]
    f2 = File(f.lang, f.path, f.lines, [(0, 1, name)], f.g)
    t = None
    for _ in range(10):
        t = op_test(f2, v, r)
        if t and name in t[1] and t[1].startswith("Add"):
            break
    else:
        return
    _, tp, to, tn = t[0]
    return ("multi", [(f.path, f.lines, new), (tp, to, tn)]), f"Add {name} function and test"


CODE_OPS = [(op_add_func, 16), (op_remove_func, 9), (op_rename, 11), (op_const, 6), (op_typo, 5), (op_comment, 6), (op_param, 7), (op_cmp, 5), (op_guard, 7), (op_print, 6), (op_import, 5),
            (op_public, 4), (op_string, 5), (op_field, 7), (op_test, 8), (op_update, 7), (op_replace_call, 5), (op_unwrap, 5), (op_move, 2), (op_newfile, 3), (op_add_and_test, 2)]


MAJOR = {"op_add_func", "op_remove_func", "op_rename", "op_param", "op_guard", "op_field"}


# ------------------------------------------------------------------ configs and documents
def ver(r):
    return f"{r.choice([0, 0, 1, 1, 2, 3, 4, 5, 7, 12])}.{r.randint(0, 30)}.{r.randint(0, 20)}"


def bump(vs, r):
    a, b, c = map(int, vs.split("."))
    return r.choice([f"{a}.{b}.{c + 1}", f"{a}.{b}.{c + 1}", f"{a}.{b + 1}.0", f"{a + 1}.0.0"])


def pkgname(v, r):
    real = "serde tokio clap anyhow rand regex log syn quote libc chrono requests flask numpy pytest django react lodash express axios jest eslint webpack typescript vite black mypy ruff celery redis boto3 pydantic uvicorn hyper tracing thiserror rayon once_cell".split()
    return r.choice(real) if r.random() < .45 else (v.n(r) if r.random() < .5 else v.n(r) + r.choice(["-", "_"]) + v.n(r))


def doc_ops(v, r):
    k = r.choices(["version", "dep_bump", "dep_add", "dep_remove", "yaml", "docker", "ci", "gitignore", "readme_typo", "readme_section", "changelog", "year", "flag", "make", "sql", "css", "env", "rename_file",
                   "readme_line", "two_version", "html", "indent"],
                  [8, 9, 8, 5, 8, 4, 5, 4, 6, 6, 3, 2, 6, 3, 3, 3, 4, 3, 4, 3, 2, 2])[0]
    nm = v.n(r) if r.random() < .5 else v.n(r) + "-" + v.n(r)
    v1 = ver(r)
    v2 = bump(v1, r)
    deps = [(pkgname(v, r), ver(r)) for _ in range(r.choice([2, 3, 4, 5]))]

    def manifest(kind, version, deps):
        if kind == "cargo":
            return "Cargo.toml", ["[package]", f'name = "{nm}"', f'version = "{version}"', 'edition = "2021"', "", "[dependencies]"] + [f'{a} = "{b}"' for a, b in deps]
        if kind == "npm":
            body = ",\n".join(f'    "{a}": "^{b}"' for a, b in deps).split("\n")
            return "package.json", ["{", f'  "name": "{nm}",', f'  "version": "{version}",', '  "private": true,', '  "dependencies": {'] + body + ["  }", "}"]
        if kind == "req":
            return r.choice(["requirements.txt", "requirements-dev.txt"]), [f"{a}=={b}" for a, b in deps]
        if kind == "py":
            return "pyproject.toml", ["[project]", f'name = "{nm}"', f'version = "{version}"', f'description = "{v.n(r)} {v.n(r)}"', "dependencies = ["] + [f'    "{a}>={b}",' for a, b in deps] + ["]"]
        if kind == "gomod":
            return "go.mod", [f"module example.com/{nm}", "", "go 1.21", "", "require ("] + [f"\tgithub.com/{a}/{a} v{b}" for a, b in deps] + [")"]
        if kind == "gem":
            return "Gemfile", ["source 'https://rubygems.org'", ""] + [f"gem '{a}', '~> {b}'" for a, b in deps]

    if k in ("version", "two_version"):
        kind = r.choice(["cargo", "npm", "py", "init"])
        if kind == "init":
            p, a, b = f"{nm.replace('-', '_')}/__init__.py", [f'"""{v.n(r).capitalize()} {v.n(r)}."""', "", f'__version__ = "{v1}"'], None
            b = [l.replace(v1, v2) for l in a]
            return [(p, a, b)], f"Bump version to {v2}"
        st = r.getstate()
        p, a = manifest(kind, v1, deps)
        r.setstate(st)
        _, b = manifest(kind, v2, deps)
        files = [(p, a, b)]
        if k == "two_version":
            x, y = ["# Changelog", "", f"## {v1}", "", f"- {v.n(r).capitalize()} {v.n(r)}"], None
            y = x[:2] + [f"## {v2}", "", f"- {r.choice(['Fix', 'Add', 'Improve'])} {v.n(r)} {v.n(r)}", ""] + x[2:]
            files = [("CHANGELOG.md", x, y)] + files
        return files, f"Bump version to {v2}"
    if k in ("dep_bump", "dep_add", "dep_remove"):
        kind = r.choice(["cargo", "npm", "req", "py", "gomod", "gem"])
        i = r.randrange(len(deps))
        if k == "dep_bump":
            d2 = list(deps)
            nv = bump(deps[i][1], r)
            d2[i] = (deps[i][0], nv)
            msg = f"Bump {deps[i][0]} from {deps[i][1]} to {nv}"
        else:
            d2 = deps[:i] + deps[i + 1:]
            msg = f"Add {deps[i][0]} dependency" if k == "dep_add" else f"Remove {deps[i][0]} dependency"
        st = r.getstate()
        p, a = manifest(kind, v1, deps)
        r.setstate(st)
        _, b = manifest(kind, v1, d2)
        if k == "dep_add":
            a, b = b, a
        return [(p, a, b)], msg
    if k in ("yaml", "env"):
        keys = [(v.snake(r, False), r.choice([str(r.randint(1, 9000)), "true", "false", v.n(r), f'"{v.n(r)}"', "info", "debug"])) for _ in range(r.choice([3, 4, 6]))]
        i = r.randrange(len(keys))
        key, old = keys[i]
        t = r.random()
        if k == "env":
            p = r.choice([".env", ".env.example", "config.env"])
            fm = lambda kk: [f"{x.upper()}={y}" for x, y in kk]
            key_s = key.upper()
        else:
            p = r.choice(["config.yml", "config.yaml", "settings.yaml", "docker-compose.yml", f"deploy/{v.n(r)}.yaml", "config/app.toml", "values.yaml", "app.ini"])
            sep = " = " if p.endswith(("toml", "ini")) else ": "
            fm = lambda kk: ([f"[{nm}]"] if sep == " = " else [f"{nm}:"]) + [("" if sep == " = " else "  ") + x + sep + y for x, y in kk]
            key_s = key
        if t < .5:
            nv = {"true": "false", "false": "true", "info": "debug", "debug": "info"}.get(old) or (str(max(1, int(old) * 2 if r.random() < .5 else int(old) + 1)) if old.isdigit() else f'"{v.n(r)}"' if old.startswith('"') else v.n(r))
            k2 = list(keys)
            k2[i] = (key, nv)
            val = nv.strip('"')
            msg = {"true": f"Enable {key_s}", "false": f"Disable {key_s}"}.get(nv, f"Set {key_s} to {val}")
            return [(p, fm(keys), fm(k2))], msg
        k2 = keys[:i] + keys[i + 1:]
        if t < .8:
            return [(p, fm(k2), fm(keys))], f"Add {key_s} setting"
        return [(p, fm(keys), fm(k2))], f"Remove {key_s} setting"
    if k == "docker":
        img = r.choice([("python", "3.9", "3.12"), ("node", "18", "20"), ("rust", "1.70", "1.80"), ("golang", "1.20", "1.22"), ("debian", "bullseye", "bookworm"), ("ubuntu", "20.04", "22.04"), ("alpine", "3.17", "3.20"), ("postgres", "14", "16"), ("redis", "6", "7")])
        body = ["WORKDIR /app", "COPY . .", f"RUN {r.choice(['pip install -r requirements.txt', 'npm ci', 'cargo build --release', 'go build ./...', 'apt-get update'])}", f'CMD ["{nm}"]']
        if r.random() < .6:
            return [("Dockerfile", [f"FROM {img[0]}:{img[1]}", ""] + body, [f"FROM {img[0]}:{img[2]}", ""] + body)], f"Update base image to {img[0]}:{img[2]}"
        port = r.choice([80, 3000, 8000, 8080, 5432, r.randint(1024, 9999)])
        return [("Dockerfile", [f"FROM {img[0]}:{img[1]}", ""] + body, [f"FROM {img[0]}:{img[1]}", ""] + body[:3] + [f"EXPOSE {port}"] + body[3:])], f"Expose port {port}"
    if k == "ci":
        p = r.choice([".github/workflows/ci.yml", ".github/workflows/test.yml", ".gitlab-ci.yml"])
        base = ["name: CI", "on: [push, pull_request]", "jobs:", "  test:", "    runs-on: ubuntu-latest", "    steps:", "      - uses: actions/checkout@v3", f"      - run: {r.choice(['cargo test', 'npm test', 'pytest', 'make check', 'go test ./...'])}"]
        t = r.random()
        if t < .3:
            return [(p, base, [l.replace("checkout@v3", "checkout@v4") for l in base])], "Bump actions/checkout from v3 to v4"
        if t < .65:
            c, what = r.choice([("cargo clippy -- -D warnings", "clippy"), ("cargo fmt --check", "cargo fmt"), ("npm run lint", "lint"), ("ruff check .", "ruff"), ("mypy .", "mypy"), ("go vet ./...", "go vet"), ("make docs", "docs build"), ("npm run build", "build")])
            return [(p, base, base + [f"      - run: {c}"])], f"Run {what} in CI" if what not in ("docs build", "build", "lint") else f"Add {what} step to CI"
        os_ = r.choice(["macos-latest", "windows-latest", "ubuntu-22.04"])
        return [(p, base, [l.replace("ubuntu-latest", os_) for l in base])], f"Run CI on {os_}"
    if k == "gitignore":
        items = r.sample(["target/", "*.log", "node_modules/", ".env", "__pycache__/", "*.pyc", "dist/", "build/", ".DS_Store", "*.swp", ".idea/", ".vscode/", "coverage/", "*.o", "*.tmp", v.n(r) + "/", "*." + v.n(r)[:4]], 5)
        i = r.randrange(5)
        return [(".gitignore", items[:i] + items[i + 1:], items)], f"Ignore {items[i].rstrip('/')}"
    title = f"{v.n(r)} {v.n(r)}".title()
    prose = [f"{title} is a {r.choice(['small', 'fast', 'simple', 'flexible'])} {r.choice(['tool', 'library', 'server', 'service'])} that {r.choice(['manages', 'converts', 'processes', 'stores', 'monitors'])} {v.n(r)} {v.n(r)} files.",
             f"It {r.choice(['supports', 'provides', 'requires'])} several {v.n(r)} options and can be configured with a configuration file.", f"See the documentation for more information about {v.n(r)} settings."]
    p = r.choice(["README.md", "README.md", "docs/index.md", f"docs/{v.n(r)}.md", "CONTRIBUTING.md"])
    doc = [f"# {title}", ""] + prose
    if k == "readme_typo":
        i = r.choice([2, 3, 4])
        ws = [m for m in re.finditer(r"\b[a-z]{6,}\b", doc[i])]
        m = r.choice(ws)
        bad = misspell(m.group(0), r)
        if bad == m.group(0):
            return None
        return [(p, [d if j != i else d[:m.start()] + bad + d[m.end():] for j, d in enumerate(doc)], doc)], f"Fix typo in {p.split('/')[-1]}"
    if k == "readme_section":
        sec, body = r.choice([("Installation", ["```sh", f"cargo install {nm}", "```"]), ("Usage", ["```sh", f"{nm} --{v.n(r)} FILE", "```"]), ("License", ["This project is licensed under the MIT License."]), ("Configuration", [f"Set `{v.const(r)}` to change the {v.n(r)}."]),
                              ("Contributing", ["Pull requests are welcome."]), ("Building from source", ["```sh", "make", "```"]), ("Troubleshooting", [f"If {v.n(r)} fails, check the {v.n(r)} log."]), ("Examples", ["```sh", f"{nm} {v.n(r)}", "```"]),
                              (f"{v.n(r).capitalize()} {v.n(r)}", [f"The {v.n(r)} is stored in the {v.n(r)} directory."])])
        return [(p, doc, doc + ["", f"## {sec}", ""] + body)], f"Add {sec} section to {p.split('/')[-1]}"
    if k == "readme_line":
        i = r.choice([2, 3, 4])
        d2 = list(doc)
        d2[i] = doc[i].replace(r.choice(doc[i].split(" ")[1:]), v.n(r), 1) + " " + r.choice([f"The default {v.n(r)} is {r.randint(1, 99)}.", f"Use `--{v.n(r)}` to change it.", f"This needs {v.n(r)} {ver(r)} or later."])
        return [(p, doc, d2)], f"Update {p.split('/')[-1]}"
    if k == "changelog":
        a = ["# Changelog", "", f"## {v1}", "", f"- Fix {v.n(r)} {v.n(r)}"]
        return [("CHANGELOG.md", a, a[:2] + [f"## {v2}", "", f"- Add {v.n(r)} {v.n(r)}", f"- Fix {v.n(r)}", ""] + a[2:])], f"Update changelog for {v2}"
    if k == "year":
        y = r.randint(2015, 2025)
        who = f"{v.n(r).title()} {v.n(r).title()}"
        a = ["MIT License", "", f"Copyright (c) {y} {who}", "", "Permission is hereby granted, free of charge, to any person obtaining a copy"]
        return [("LICENSE", a, [l.replace(str(y), str(y + 1)) for l in a])], f"Update copyright year to {y + 1}"
    if k == "flag":
        fl, fl2, ty = v.n(r) if r.random() < .6 else v.n(r) + "-" + v.n(r), v.n(r), r.random()
        h = f"{r.choice(['enable', 'set', 'print', 'skip', 'choose'])} {v.n(r)} {v.n(r)}"
        if ty < .4:
            a = ["def main():", "    parser = argparse.ArgumentParser()", f'    parser.add_argument("--{fl2}", default=None)', "    args = parser.parse_args()"]
            new = f'    parser.add_argument("--{fl}", {r.choice(["action=%sstore_true%s" % (chr(34), chr(34)), "type=int", "default=None"])}, help="{h}")'
            p = r.choice(["main.py", "cli.py", f"{v.n(r)}/cli.py"])
            b = a[:3] + [new] + a[3:]
        elif ty < .75:
            a = ["#[derive(Parser)]", "struct Args {", f"    /// {v.n(r).capitalize()} {v.n(r)}", "    #[arg(long)]", f"    {fl2}: Option<String>,", "}"]
            p = r.choice(["src/main.rs", "src/cli.rs", "src/args.rs"])
            b = a[:5] + [f"    /// {h.capitalize()}", "    #[arg(long)]", f"    {fl.replace('-', '_')}: {r.choice(['bool', 'Option<String>', 'u32', 'usize'])},"] + a[5:]
        else:
            a = ["func main() {", f'\t{fl2} := flag.String("{fl2}", "", "{v.n(r)} {v.n(r)}")', "\tflag.Parse()", "}"]
            p = "main.go"
            b = a[:2] + [f'\t{camel(fl.replace("-", "_"))} := flag.{r.choice(["Bool", "Int", "String"])}("{fl}", {r.choice(["false", "0"])}, "{h}")'] + a[2:]
        return ([(p, b, a)], f"Remove --{fl} option") if r.random() < .2 else ([(p, a, b)], f"Add --{fl} option")
    if k == "make":
        t = r.choice(["clean", "lint", "install", "docs", "bench", "release", "fmt", v.n(r)])
        a = ["build:", "\tcargo build", "", "test:", "\tcargo test"]
        return [("Makefile", a, a + ["", f"{t}:", f"\t{r.choice(['rm -rf target', 'cargo clippy', './scripts/' + t + '.sh', 'cargo fmt'])}"])], f"Add {t} target to Makefile"
    if k == "sql":
        t, c = v.n(r) + "s", v.snake(r, False)
        a = [f"CREATE TABLE {t} (", "    id SERIAL PRIMARY KEY,", f"    {v.snake(r, False)} TEXT NOT NULL", ");"]
        if r.random() < .5:
            return [(r.choice(["schema.sql", "db/schema.sql"]), a, a[:2] + [f"    {c} {r.choice(['TEXT', 'INTEGER', 'TIMESTAMP', 'BOOLEAN'])},"] + a[2:])], f"Add {c} column to {t}"
        return [(f"migrations/{r.randint(1, 99):04d}_{t}.sql", None, [f"CREATE INDEX idx_{t}_{c} ON {t} ({c});"])], f"Add index on {t}.{c}"
    if k == "css":
        sel, prop = "." + v.n(r), r.choice([("color", "#333", "#0066cc"), ("margin", "8px", "16px"), ("font-size", "14px", "16px"), ("padding", "4px", "12px"), ("background", "white", "#f5f5f5"), ("width", "100%", "80%")])
        a = [f"{sel} {{", f"  display: {r.choice(['flex', 'block', 'grid'])};", f"  {prop[0]}: {prop[1]};", "}"]
        return [(r.choice(["style.css", "src/app.css", "static/main.css"]), a, [l.replace(prop[1], prop[2]) for l in a])], f"Change {prop[0]} of {sel} to {prop[2]}"
    if k == "html":
        a = ["<!DOCTYPE html>", "<html>", "<head>", f"  <title>{title}</title>", "</head>", "<body>", f"  <h1>{title}</h1>", "</body>", "</html>"]
        t2 = f"{v.n(r)} {v.n(r)}".title()
        return [("index.html", a, [l.replace(f"<title>{title}", f"<title>{t2}") for l in a])], f"Change page title to {t2}"
    if k == "rename_file":
        L = r.choice(["py", "rs", "js", "go"])
        f1, f2 = v.file(r, L), v.file(r, L)
        return ("raw", [f"diff --git a/{f1} b/{f2}", "similarity index 100%", f"rename from {f1}", f"rename to {f2}"]), f"Rename {f1.split('/')[-1]} to {f2.split('/')[-1]}"
    if k == "indent":
        L = r.choice(["py", "js", "c"])
        g = Gen(v, r, L)
        n, _, body = g.func(n=3)
        bad = [l + (" " * r.randint(1, 3) if r.random() < .6 else "") for l in body]
        if bad == body:
            return None
        pth = v.file(r, L)
        return [(pth, bad, body)], f"Remove trailing whitespace in {pth.split('/')[-1]}"
    return None


# ------------------------------------------------------------------ main loop
def load_vocab(work):
    c = Counter()
    for line in open(work / "corpus.jsonl"):
        d = json.loads(line)
        if d["src"].startswith("code-"):
            for w in re.findall(r"[A-Za-z_][A-Za-z0-9_]{2,30}", d["text"]):
                c.update(p for p in (q.lower() for q in re.findall(r"[A-Z]?[a-z]+", w)) if 2 < len(p) < 13)
    stop = set("the and for not let mut pub self this fn def return from import use const static int char void str".split())
    return [(w, round(n ** 0.4, 2)) for w, n in c.most_common(3500) if w not in stop]


def load_real():
    roots = [("rs", CRATES, ".rs"), ("py", PYTHON, ".py"), ("js", NODE, ".js"),
             ("pl", PERL, ".pm"), ("h", INCLUDE, ".h"), ("sh", Path("/usr"), ".sh")]
    lim = {"rs": 900, "py": 900, "js": 500, "pl": 150, "h": 150, "sh": 80}
    out = []
    rng = random.Random(3)
    for lang, root, suf in roots:
        fs = [f for f in sorted(root.rglob("*" + suf)) if f.is_file() and not f.is_symlink() and 400 < f.stat().st_size < 60_000
              and not re.search(r"/(encodings|lib2to3|test|idlelib)/|libc-|unicode|\.min\.", str(f))]
        rng.shuffle(fs)
        n = 0
        for f in fs:
            try:
                t = f.read_text("ascii")
            except Exception:
                continue
            lines = t.split("\n")
            if max(map(len, lines)) > 200:
                continue
            parts = f.parts
            depth = rng.choice([1, 2, 2, 3])
            p = "/".join(parts[-depth:])
            if depth == 1 and lang in ("rs", "py", "js") and rng.random() < .6:
                p = {"rs": "src/", "py": "lib/", "js": "lib/"}[lang] + p
            held = int(hashlib.md5(str(f.name).encode()).hexdigest(), 16) % 40 == 0
            out.append((lang, p, [(w, find_blocks(lang, w)) for w in (window(lines, rng) for _ in range(1 if len(lines) <= 160 else 4))], held))
            n += 1
            if n >= lim[lang]:
                break
    return out


def window(lines, r):
    """Cut a real file to about 150 lines so that hunks stay near each other."""
    if len(lines) <= 160:
        return lines
    s = 0 if r.random() < .3 else r.randrange(0, len(lines) - 120)
    return lines[s:s + r.choice([90, 140, 160])]


def prepare(work):
    real = load_real()
    (work / "code.json").write_text(json.dumps({"vocab": load_vocab(work), "files": real}))


def load(path):
    d = json.loads(Path(path).read_text())
    v = Vocab(*zip(*d["vocab"]))
    return v, [x for x in d["files"] if not x[3]], [x for x in d["files"] if x[3]]


def generate(v, files, r):
    """Yields (op, diff, message) without end."""
    ops, w = [o for o, _ in CODE_OPS], [x for _, x in CODE_OPS]
    while True:
        try:
            if r.random() < .20:
                name, res = "doc", doc_ops(v, r)
                if not res:
                    continue
                files_, msg = res
                if files_[0] == "raw":
                    diff = files_[1]
                else:
                    parts = [render(p, o, nw, r) for p, o, nw in files_]
                    diff = None if any(p is None for p in parts) else [l for p in parts for l in p]
            else:
                op = r.choices(ops, w)[0]
                name = op.__name__
                if r.random() < .52:
                    lang, path, wins, _ = r.choice(files)
                    lines, blocks = r.choice(wins)
                    f = File(lang, path, lines, blocks, None)
                else:
                    lang = r.choice(["go", "ts", "java", "c", "cpp", "rb", "py", "rs", "js"])
                    g = Gen(v, r, lang)
                    lines, blocks = g.file()
                    f = File(lang, v.file(r, lang), lines, blocks, g)
                res = op(f, v, r)
                if not res:
                    continue
                ed, msg = res
                if name in MAJOR and r.random() < .15:  # a minor edit rides along; the subject names the major one
                    old, new = (f.lines, ed) if not isinstance(ed, tuple) else (ed[1], ed[2]) if ed[0] == "swap" else (None, None)
                    if old is not None:
                        f2 = File(f.lang, f.path, new, find_blocks(f.lang, new) if f.g is None else [], f.g)
                        for op2 in r.sample([op_import, op_const, op_comment, op_string], 4):
                            r2 = op2(f2, v, r)
                            if r2 and not (isinstance(r2[0], tuple) and r2[0][0] != "swap"):
                                ed = ("swap", old, r2[0]) if not isinstance(r2[0], tuple) else ("swap", old, r2[0][2])
                                name += "+minor"
                                break
                if not isinstance(ed, tuple):
                    diff = render(f.path, f.lines, ed, r)
                elif ed[0] == "swap":
                    diff = render(f.path, ed[1], ed[2], r)
                elif ed[0] == "path":
                    diff = render(ed[1], ed[2], ed[3], r)
                else:
                    parts = [render(p, o, nw, r) for p, o, nw in ed[1]]
                    diff = None if any(p is None for p in parts) else [l for p in parts for l in p]
        except (IndexError, KeyError, ValueError):
            continue
        if not diff:
            continue
        if r.random() < .12:                       # without git's header lines
            diff = [l for l in diff if not l.startswith(("index ", "diff --git"))] or diff
        text = "\n".join(diff)
        if len(text) > 4200 or (len(text) > 2000 and r.random() < .6) or len(msg) > 90:
            continue
        yield name, text, msg


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=["prepare", "generate"], help="see above")
    ap.add_argument("--work", required=True, type=Path, help="folder of the data (see README.md)")
    ap.add_argument("--count", type=int, default=20_000, help="training diffs; 2,000 held-out ones come on top")
    a = ap.parse_args()
    if a.what == "prepare":
        return prepare(a.work)
    v, tr, he = load(a.work / "code.json")
    print("files", len(tr), "held-out files", len(he))
    st = Counter()
    with open(a.work / "diffs.jsonl", "w") as out:
        for held, files, n, seed in ((True, he, 2000, 5), (False, tr, a.count, 11)):
            for (name, text, msg), _ in zip(generate(v, files, random.Random(seed)), range(n)):
                out.write(json.dumps({"task": "commit", "input": text, "answer": msg, "src": name, "held": held}) + "\n")
                st[name] += 1
    print(st.most_common())


if __name__ == "__main__":
    main()
