"""Build summarize and ask pairs from Debian descriptions, man pages, docstrings,
doc comments, crate manifests, documentation sections, FOLDOC and the glossary.

Writes WORK/pairs.jsonl: {"task", "input", "answer", "src", "rep", "held"}.
"rep" is how often a pair is drawn relative to others; "held" marks evaluation pairs
(split by source package / file / entry, never seen in training).
"""
import argparse, ast, hashlib, json, math, random, re, subprocess, sys, textwrap
from collections import Counter, defaultdict
from pathlib import Path

from corpus import clean, foldoc
from sources import CRATES, NODE, PYTHON


def frac(s):
    return int.from_bytes(hashlib.blake2b(s.encode(), digest_size=6).digest(), "big") / 2 ** 48


def held(key, p=0.015):
    return frac("held:" + key) < p


def sentence(s):
    """Normalise a one-line description: one space, capital first letter, final period."""
    s = re.sub(r"\s+", " ", s).strip().rstrip(" .;,:")
    if not s:
        return s
    first = s.split(" ")[0]
    if first.isalpha() and first.islower():
        s = s[0].upper() + s[1:]
    return s + "."


# ---------------------------------------------------------------- Debian
def lz4(path):
    return subprocess.run(["lz4cat", str(path)], capture_output=True).stdout.decode("utf-8", "replace")


def stanzas(text):
    for st in text.split("\n\n"):
        d, key = {}, None
        for line in st.split("\n"):
            if line[:1] == " ":
                if key:
                    d[key] += "\n" + line[1:]
            elif ":" in line:
                key, v = line.split(":", 1)
                d[key] = v.strip()
        if d:
            yield d


def unwrap(desc):
    """Debian long description -> plain paragraphs (lists kept as lines)."""
    out, para = [], []
    for line in desc.split("\n"):
        if line.strip() == ".":
            if para:
                out.append(" ".join(para)); para = []
            out.append("")
        elif line.startswith((" ", "\t")) or re.match(r"^[-*+o] ", line):
            if para:
                out.append(" ".join(para)); para = []
            m = re.match(r"^\s*([-*+o])\s+(.*)", line)
            if m:
                out.append("- " + m.group(2))
            elif out and out[-1].startswith("- "):
                out[-1] += " " + line.strip()
            else:
                out.append(line.strip())
        else:
            para.append(line.strip())
    if para:
        out.append(" ".join(para))
    return clean(re.sub(r"\n{3,}", "\n\n", "\n".join(out)))


MINOR = re.compile(r"\b(development|devel|headers?|debug|documentation|docs|manual|shared librar|runtime librar|runtime files|"
                   r"data files|common files|transitional|dummy|metapackage|meta-package|plugins?|examples?|static librar|"
                   r"translations?|language pack|localization|virtual package|architecture.independent|dependency package|"
                   r"kernel modules?|tests?|bindings?|python ?[23]|perl|ruby|haskell|ghc|ocaml|golang|node\.?js|firmware)\b", re.I)
HEAD_SG = ("tool|utility|library|program|client|server|editor|viewer|player|game|framework|module|manager|generator|parser|"
           "compiler|interpreter|shell|daemon|implementation|interface|system|application|app|engine|emulator|simulator|browser|"
           "converter|analyzer|analyser|checker|reader|writer|wrapper|frontend|front-end|backend|toolkit|environment|language|"
           "database|debugger|profiler|monitor|command|script|suite|collection|set|package|service|extension|plugin|applet|toolset|"
           "platform|assistant|calculator|terminal|proxy|scanner|filter|driver|assembler|disassembler|linker|formatter|organizer|"
           "solver|tracker|downloader|launcher|installer|benchmark|recorder|synthesizer|sequencer|mixer|puzzle|replacement|clone|"
           "variant|version|protocol|format|theme|font|kernel|API|dictionary|agent|gateway|router|firewall|bot|processor|"
           "preprocessor|creator|builder|loader|renderer|screensaver|clock|desktop|panel|widget|session|multiplexer|pager|archiver")
HEAD_RE = re.compile(rf"\b({HEAD_SG})\b$", re.I)


def is_a(name, syn):
    """'curl', 'command line tool for transferring data' -> a full sentence."""
    s = re.sub(r"\s+", " ", syn).strip().rstrip(".")
    s = re.sub(r"^(a|an|the)\s+", "", s, flags=re.I)
    head = re.split(r"\s(?:for|to|of|that|which|with|from|in|on|using|by|based|written|and|as|into|via|like|used|designed|similar)\b|[,(;:]| - ", s, maxsplit=1)[0].strip()
    first = s.split(" ")[0]
    low = s[0].lower() + s[1:] if first.isalpha() and first[1:].islower() and first not in (
        "Python", "Perl", "Ruby", "Java", "Linux", "Debian", "Unix", "Haskell", "German", "English", "French", "Rust", "Internet",
        "Bayesian", "Apache", "Tcl", "Erlang", "Scheme", "Lisp", "Qt", "Gtk", "Emacs", "Vim", "Windows", "Markdown", "Wayland", "Android") else s
    if HEAD_RE.search(head):
        art = "an" if re.match(r"[aeiou]|[AEFHILMNORSX][A-Z]", low) and not re.match(r"(uni|use|one|eu|US|Unix|UNIX)", low) else "a"
        return f"{name} is {art} {low}."
    return f"{name}: {s}."


def debian(work):
    pk, rdep = {}, Counter()
    for f in sorted((work / "apt/lists").glob("*binary-amd64_Packages.lz4")):
        for d in stanzas(lz4(f)):
            n = d.get("Package")
            if not n:
                continue
            e = pk.setdefault(n, {})
            e["source"] = d.get("Source", n).split(" ")[0]
            e["section"] = d.get("Section", "")
            e["prio"] = d.get("Priority", "")
            for dep in set(re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]+)", d.get("Depends", "") + "," + d.get("Recommends", ""))):
                rdep[dep] += 1
    descs = defaultdict(list)
    for f in sorted((work / "apt/lists").glob("*Translation-en.lz4")):
        for d in stanzas(lz4(f)):
            v = d.get("Description-en", "")
            if "\n" in v and d.get("Package") in pk:
                syn, long = v.split("\n", 1)
                if (syn, long) not in descs[d["Package"]]:
                    descs[d["Package"]].append((syn, long))
    src_count = Counter()
    seen_in = set()
    n_sum = n_ask = 0
    for n in sorted(descs):
        e = pk[n]
        for syn, long in descs[n]:
            body = unwrap(long)
            yield {"task": "text", "text": f"{n}: {syn}\n\n{body}", "src": "debian", "held": held(e["source"])}
            minor = bool(MINOR.search(syn)) or bool(re.search(r"-(dev|doc|dbg|data|common|dbgsym|examples|tests?)$", n))
            if len(body) < 80 or len(body) > 3500 or len(syn) < 12 or not body.isascii() and sum(c.isascii() for c in body) < .97 * len(body):
                continue
            key = e["source"]
            src_count[key, minor] += 1
            if src_count[key, minor] > (1 if minor else 4):
                continue
            if minor and frac("m" + n) > 0.35:
                continue
            h = hashlib.blake2b(re.sub(r"\W", "", body[:160]).lower().encode(), digest_size=8).digest()
            dup = h in seen_in
            seen_in.add(h)
            if dup and frac("d" + n) > 0.2:
                continue
            n_sum += 1
            yield {"task": "summarize", "input": body, "pkg": n, "answer": sentence(syn), "src": "debian", "rep": 0.5 if minor else 1.0, "held": held(key)}
        # ask
        syn = descs[n][-1][0]
        if re.search(r"^(lib|python3?-|golang-|ruby-|node-|php-|r-cran|r-bioc|haskell-|rust-|texlive-|fonts-|gir1|elpa-|linux-|ocaml-|"
                     r"task-|education-|science-|med-|gcc-|g\+\+-|clang-|llvm-|openjdk-|postgresql-1|hunspell-|aspell-|myspell-|librust|libghc)", n) \
                or e["section"] in ("doc", "debug", "oldlibs", "libdevel", "localization", "introspection", "fonts", "kernel", "haskell", "metapackages") \
                or re.search(r"-(dev|doc|dbg|data|common|utils|bin|tools|plugins?|extra|dkms|gtk|qt|core|base|server|client|gui|nox|daemon)\d*$", n) \
                or MINOR.search(syn) and rdep[n] < 20:
            continue
        pop = rdep[n] + {"required": 60, "important": 50, "standard": 30}.get(e["prio"], 0)
        rep = 0.7 + 1.6 * math.log2(1 + pop)
        n_ask += 1
        yield {"task": "ask", "name": n, "answer": is_a(n, syn), "src": "debian-ask", "rep": rep, "kind": "package", "held": False}
    print("debian summarize", n_sum, "ask", n_ask, file=sys.stderr)


# ---------------------------------------------------------------- man pages
VERBS = set("""list print show display search find copy move remove delete create make change set get convert compare merge sort split
join run execute start stop kill send receive read write format check test verify generate build compile install update manage control
configure edit view extract compress decompress encode decode encrypt decrypt mount unmount dump restore report trace monitor count
concatenate open close apply add append initialize look schedule wait load save query import export translate transform parse analyze
inspect resolve return obtain determine allocate free perform call manipulate modify register unregister lock unlock retrieve describe
output reformat rename record track download upload fetch push clone join strip select filter invoke prepare process wrap map emit paste
report estimate number expand fold shuffle tell alter enable disable lookup reset""".split())


def man_pairs(work, rng):
    n = 0
    for line in open(work / "corpus.jsonl"):
        d = json.loads(line)
        if not d["src"].startswith("man"):
            continue
        t = d["text"]
        m = re.search(r"^N(?:AME|ame)\n+\s+(.+?)\n\n", t, re.S | re.M)
        if not m:
            continue
        nm = re.sub(r"\s+", " ", m.group(1)).strip()
        nm = nm.replace("—", "-").replace(" -- ", " - ")
        p = re.split(r"\s+[-–]\s+", nm, maxsplit=1)
        if len(p) != 2 or len(p[1]) < 10 or len(p[1]) > 160:
            continue
        names, desc = p[0].split(",")[0].strip(), p[1].strip().rstrip(".")
        m = re.search(r"^(?:DESCRIPTION|Description)\n(.+?)(?=^\S|\Z)", t, re.S | re.M)
        h = held("man:" + names)
        first = desc.split(" ")[0].lower()
        base = first if first in VERBS else first[:-1] if first.endswith("s") and first[:-1] in VERBS else None
        if m:
            body = textwrap.dedent(m.group(1)).strip()
            if 120 < len(body):
                flow = "\n\n".join(re.sub(r"\s*\n\s*", " ", p) for p in body.split("\n\n"))
                r = rng.random()
                cut = 700 if r < .5 else 1500 if r < .85 else 6000
                src = flow if rng.random() < 0.6 else body
                src = src[:cut]
                src = src[:src.rfind(".") + 1] if "." in src[80:] else src
                if rng.random() < 0.12:  # whole rendered page without the NAME line's description
                    src = t.replace(desc, "", 1)[:rng.choice([2000, 4000, 8000])]
                if len(src) > 100:
                    n += 1
                    yield {"task": "summarize", "input": src, "answer": sentence(desc), "src": "man", "rep": 1.0, "held": h}
        is_fn = "gcloud" not in d["src"] and bool(re.search(r"^(?:SYNOPSIS|Synopsis)\n.*\w\(", t, re.M | re.S) and re.search(r"#include|\);", t[:1500]))
        if base and not is_fn:
            ans = f"{names} is a command to {base}{desc[len(first):]}."
        elif base:
            ans = f"{names} is a function to {base}{desc[len(first):]}."
        else:
            ans = is_a(names, desc)
        if re.match(r"^[\w.+-]+$", names) and len(names) < 28 and "gcloud" not in d["src"] and "::" not in names:
            yield {"task": "ask", "name": names, "answer": ans, "src": "man-ask", "rep": 1.0 if is_fn or "_" in names else 3.5,
                   "kind": "function" if is_fn else "command", "held": False}
            if base and len(desc) < 70:
                yield {"task": "ask-which", "name": names, "answer": names, "desc": base + desc[len(first):], "src": "man-which",
                       "rep": 0.4, "kind": "function" if is_fn else "command", "held": h}
    print("man summarize", n, file=sys.stderr)


# ---------------------------------------------------------------- code documentation
def first_sentence(t):
    m = re.match(r"(.+?[.!?])(\s|$)", t.strip(), re.S)
    return re.sub(r"\s+", " ", m.group(1) if m else t.strip().split("\n")[0])


def docstrings(rng):
    n = 0
    root = PYTHON
    seen = set()
    for f in sorted(root.rglob("*.py")):
        if re.search(r"/(test|tests|lib2to3|idlelib)/", str(f)):
            continue
        try:
            src = f.read_text("utf-8")
            tree = ast.parse(src)
        except Exception:
            continue
        h = held("py:" + f.name)
        for node in ast.walk(tree):
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module, ast.AsyncFunctionDef)):
                continue
            ds = ast.get_docstring(node)
            if not ds or ds in seen:
                continue
            seen.add(ds)
            fs = first_sentence(ds.split("\n\n")[0])
            rest = ds[len(fs):].strip() if ds.startswith(fs) else "\n\n".join(ds.split("\n\n")[1:])
            if not (15 < len(fs) < 140) or not fs.isascii() or fs.startswith((">", ":", "@", "--")):
                continue
            r = rng.random()
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and r < 0.55:
                seg = ast.get_source_segment(src, node) or ""
                body = node.body[1:] if len(node.body) > 1 else []
                if body and 60 < len(seg) < 1600:
                    head = seg[:seg.find('"""')] if '"""' in seg else seg.split("\n")[0] + "\n"
                    code = head.rstrip() + "\n" + "\n".join(src.split("\n")[body[0].lineno - 1:node.end_lineno])
                    n += 1
                    yield {"task": "summarize", "input": textwrap.dedent(code), "answer": sentence(fs), "src": "py-code", "rep": 0.6, "held": h}
                    continue
            if 100 < len(rest) < 2500:
                n += 1
                yield {"task": "summarize", "input": textwrap.dedent(rest) if r < .8 else f"{getattr(node, 'name', f.stem)}: {rest}",
                       "answer": sentence(fs), "src": "py-doc", "rep": 0.8, "held": h}
        if f.parent == root and (ds := ast.get_docstring(tree)):
            fs = first_sentence(ds)
            if 20 < len(fs) < 130 and not f.stem.startswith("_"):
                yield {"task": "ask", "name": f.stem, "answer": f"{f.stem} is a Python module: {fs.rstrip('.')}.", "src": "py-ask", "rep": 1.5, "kind": "python module", "held": False}
    for f in sorted(CRATES.rglob("*.rs")):
        if re.search(r"/libc-|/tests?/|bindings", str(f)) or f.stat().st_size > 300_000:
            continue
        try:
            src = f.read_text("utf-8")
        except Exception:
            continue
        crate = str(f).split("/registry/src/")[1].split("/")[1]
        h = held("rs:" + crate + f.name)
        for m in re.finditer(r"((?:^[ \t]*//[/!].*\n){1,40})(?:[ \t]*#\[.*\n)*[ \t]*((?:pub(?:\([^)]*\))? )?(?:async |unsafe |const )*(fn|struct|enum|trait|mod|macro_rules!)\s+(\w+)[^\n]*)?", src, re.M):
            doc = "\n".join(re.sub(r"^[ \t]*//[/!] ?", "", l) for l in m.group(1).strip("\n").split("\n"))
            if doc in seen:
                continue
            seen.add(doc)
            fs = first_sentence(doc.split("\n\n")[0])
            if not (15 < len(fs) < 130) or fs.startswith(("#", "`", "[", "|", "```", "!")) or not fs.isascii():
                continue
            rest = doc[len(fs):].strip() if doc.startswith(fs) else "\n\n".join(doc.split("\n\n")[1:])
            rest = re.sub(r"```.*?```", lambda g: g.group(0) if rng.random() < .3 else "", rest, flags=re.S).strip()
            if m.group(3) == "fn" and rng.random() < 0.5:  # function body -> doc line
                code = rust_body(src, m.start(2))
                if code and 80 < len(code) < 1400:
                    n += 1
                    yield {"task": "summarize", "input": textwrap.dedent(code), "answer": sentence(fs), "src": "rs-code", "rep": 0.6, "held": h}
                    continue
            if 100 < len(rest) < 2500:
                n += 1
                yield {"task": "summarize", "input": rest if rng.random() < .8 or not m.group(4) else f"{m.group(4)}: {rest}",
                       "answer": sentence(fs), "src": "rs-doc", "rep": 0.8, "held": h}
    for f in sorted(CRATES.glob("*/*/Cargo.toml")):
        t = f.read_text("utf-8", "replace")
        name = re.search(r'^name = "(.+?)"', t, re.M)
        m = re.search(r'^description = (?:"""\s*(.+?)"""|"(.+?)"$)', t, re.M | re.S)
        if not m or not name:
            continue
        desc = re.sub(r"\s+", " ", (m.group(1) or m.group(2)).replace('\\"', '"')).strip()
        rd = next(iter(sorted(f.parent.glob("[Rr][Ee][Aa][Dd][Mm][Ee]*.md"))), None)
        yield {"task": "ask", "name": name.group(1), "answer": is_a(name.group(1), first_sentence(desc)), "src": "crate-ask", "rep": 4, "kind": "crate", "held": False}
        if rd:
            for cut in (600, 1500, 4000):
                yield {"task": "summarize", "input": clean(rd.read_text("utf-8", "replace"))[:cut], "answer": sentence(first_sentence(desc)), "src": "readme",
                       "rep": 1.5, "held": held("crate:" + name.group(1), .04)}
    for f in sorted(NODE.rglob("package.json")):
        try:
            j = json.loads(f.read_text())
        except Exception:
            continue
        if not isinstance(j.get("description"), str) or len(j["description"]) < 15:
            continue
        yield {"task": "ask", "name": j.get("name", ""), "answer": is_a(j.get("name", ""), first_sentence(j["description"])), "src": "npm-ask", "rep": 1.5, "kind": "package", "held": False}
        rd = next(iter(sorted(f.parent.glob("[Rr][Ee][Aa][Dd][Mm][Ee]*.md"))), None)
        if rd:
            for cut in (600, 2000):
                yield {"task": "summarize", "input": clean(rd.read_text("utf-8", "replace"))[:cut], "answer": sentence(first_sentence(j["description"])), "src": "readme",
                       "rep": 1.0, "held": held("npm:" + j.get("name", ""), .04)}
    print("docstring summarize", n, file=sys.stderr)


def rust_body(src, i):
    j = src.find("{", i)
    if j < 0 or ";" in src[i:j]:
        return None
    depth = 0
    for k in range(j, min(len(src), j + 3000)):
        c = src[k]
        if c == "{":
            depth += 1
        elif c == "}":
            depth -= 1
            if depth == 0:
                return src[i:k + 1]
    return None


# ---------------------------------------------------------------- documentation prose
STOP = set("the a an of to in and or for with on by from is are be as at it its this that how what when your you using use used can not "
           "into via about".split())
BAD_HEAD = re.compile(r"^(notes?|examples?|see also|description|synopsis|introduction|overview|contents?|summary|parameters|return|"
                      r"options|index|history|references?|chapter|appendix|part|section|errors|usage|features|version|changes|table|"
                      r"warnings?|bugs|author|copyright|license)\b", re.I)


def words(s):
    return [w for w in re.findall(r"[a-z][a-z0-9_+-]+", s.lower()) if w not in STOP]


def sections(work, rng):
    n = m_ = 0
    cap = Counter()
    for line in open(work / "corpus.jsonl"):
        d = json.loads(line)
        if d["src"].startswith(("code", "man", "foldoc", "jargon", "changelog")):
            continue
        parts = re.split(r"^#{1,4} (.+)$", d["text"], flags=re.M)
        for head, body in zip(parts[1::2], parts[2::2]):
            head = re.sub(r"^[\dA-Z]?[\d.]*\.?\s*", "", head).strip().rstrip(".:") if re.match(r"^[\dA-Z]?[\d.]+", head) else head.strip().rstrip(".:")
            body = body.strip()
            prose = "\n\n".join(p for p in body.split("\n\n") if not p.startswith(("```", "    ", "|", "- ")))
            if len(prose) < 220 or cap[d["src"]] > 3500:
                continue
            sents = re.split(r"(?<=[.!?])\s+(?=[A-Z])", re.sub(r"\s+", " ", prose[:1500]))
            sents = [s for s in sents if 30 < len(s) < 400]
            if len(sents) < 2:
                continue
            h = held("sec:" + d["src"] + head)
            hw, bw = set(words(head)), Counter(words(prose[:1500]))
            ok_head = 3 <= len(head.split()) <= 12 and head.isascii() and not BAD_HEAD.search(head) and hw and \
                sum(w in bw or w.rstrip("s") in bw for w in hw) >= 0.6 * len(hw) and not re.search(r"[_(){}=<>/]|::", head)
            k = rng.choice([3, 4, 5, 6, 8])
            text = " ".join(sents[:k])
            if ok_head:
                n += 1
                cap[d["src"]] += 1
                yield {"task": "summarize", "input": text, "answer": sentence(head), "src": "section", "rep": 0.45, "held": h}
            elif rng.random() < 0.6:
                # extractive: the sentence whose words are most central, trimmed to a line
                def score(s):
                    w = words(s)
                    return sum(min(bw[x], 4) for x in set(w)) / (4 + len(w)) if w else 0
                cand = [(score(s) + (0.5 if i == 0 else 0), -i, s) for i, s in enumerate(sents[:k]) if 40 < len(s) < 150 and not re.match(
                    r"(This|These|It|They|However|For example|Note|In this|But|And|Also|Thus|So|Then|If|That|See|Here|Such|Therefore)\b", s)]
                if cand and k >= 3 and len(sents[:k]) >= 3:
                    s = max(cand)[2]
                    m_ += 1
                    cap[d["src"]] += 1
                    yield {"task": "summarize", "input": text, "answer": s if s[-1] in ".!?" else s + ".", "src": "extract", "rep": 0.4, "held": h}
    print("sections", n, "extractive", m_, file=sys.stderr)


def pages(work, rng):
    """Reference pages with their own one-line description (PHP, Boost, NumPy)."""
    n = 0
    for line in open(work / "corpus.jsonl"):
        d = json.loads(line)
        t = d["text"]
        if d["src"] in ("php-doc", "libboost1.74-doc"):
            m = re.search(r"^(\S{2,60}) (?:—|--)\s+(.{12,120})$", t[:600], re.M)
            if not m:
                continue
            syn, body = m.group(2), t[m.end():]
        elif d["src"] == "python-numpy":
            m = re.match(r"# (numpy\.\S+)\n+(?:.*\[source\]\n+)?([A-Z][^\n]{12,120}\.)\n\n", t)
            if not m:
                continue
            syn, body = m.group(2), t[m.end():]
        else:
            continue
        body = re.sub(r"```.*?```", "", body, flags=re.S)
        body = re.sub(r"\n{3,}", "\n\n", body).strip()
        body = body[:rng.choice([400, 800, 1500])]
        if len(body) < 120 or len(syn.split()) < 3:
            continue
        n += 1
        yield {"task": "summarize", "input": body, "answer": sentence(syn), "src": "page", "rep": 0.7, "held": held("page:" + m.group(1))}
    print("pages", n, file=sys.stderr)


# ---------------------------------------------------------------- ask
def foldoc_asks(work):
    n = 0
    seen = set()
    for _, body in foldoc(work, "foldoc"):
        lines = body.strip().split("\n")
        title = lines[0].strip()
        if body in seen or not title or len(title) > 40:
            continue
        seen.add(body)
        t = re.sub(r"\s+", " ", " ".join(l.strip() for l in lines[1:] if l.startswith("   ") or not l.strip())).strip()
        t = re.sub(r"^1\.\s*", "", t)
        t = re.sub(r"<[^>]{2,40}>\s*", "", t, count=1)
        t = re.sub(r"[{}]", "", t)
        t = re.sub(r"^\((?:[^()]{1,80})\)\s*", "", t)
        fs = first_sentence(t)
        fs = re.sub(r"\s*\((?:[^()]{1,60})\)", "", fs)
        if not (30 < len(fs) < 190) or not fs.isascii() or fs.startswith(("See", "Former", "The former")) or re.search(r"\[|e\.g\.$|i\.e\.$|http|@", fs):
            continue
        fs = re.sub(r'^"?' + re.escape(title) + r'"?,?\s+(is|was)\s+', "", fs, flags=re.I)
        if re.match(r"(A|An|The|Any|One)\s", fs):
            ans = f"{title} is {fs[0].lower()}{fs[1:]}"
        else:
            ans = f"{title}: {fs}"
        n += 1
        yield {"task": "ask", "name": title, "answer": ans, "src": "foldoc-ask", "rep": 0.9, "kind": "term", "held": False}
    print("foldoc ask", n, file=sys.stderr)


def glossary_asks(here):
    for line in open(here / "glossary.tsv"):
        k, v = line.rstrip("\n").split("\t")
        for i, name in enumerate(k.split("|")):
            kind = "concept" if re.match(r"(A|An|The)\s", v) else "tool"
            yield {"task": "ask", "name": name, "answer": v, "src": "glossary", "rep": 20.0 if i == 0 else 12.0, "kind": kind, "held": False}


CHAT = [
    (["hi", "hello", "hey", "hello there", "good morning", "hi!", "Hello!", "hey there", "yo", "good evening"],
     "Hello! I am cub, a tiny demo model. I can summarize text, write commit messages and explain software terms."),
    (["who are you?", "what are you?", "what is your name?", "introduce yourself", "tell me about yourself", "are you an AI?", "what model are you?",
      "which model is this?", "what is cub?", "who am I talking to?", "are you human?", "describe yourself"],
     "I am cub, a tiny language model made for demonstrations. I know little and I make mistakes."),
    (["what can you do?", "help", "how can you help me?", "what are you good at?", "what do you do?", "how do I use you?", "what should I ask you?"],
     "I can summarize a short text, write a commit message for a diff and explain common software terms in one line."),
    (["how big are you?", "how many parameters do you have?", "are you a large language model?", "are you smart?", "can I trust you?", "are you accurate?",
      "do you make mistakes?"],
     "I am very small, with about 24 million parameters, so please check what I say."),
    (["thanks", "thank you", "thanks!", "thank you very much", "great, thanks", "cool", "nice", "good job", "well done"], "You are welcome."),
    (["bye", "goodbye", "see you", "see you later", "quit", "exit"], "Goodbye!"),
    (["who made you?", "where do you come from?", "what data were you trained on?", "how were you trained?"],
     "I was trained from scratch on package descriptions, manual pages, documentation and synthetic diffs."),
    (["how are you?", "how are you doing?", "what's up?", "how is it going?"], "I am a small program, and I am ready for your text."),
    (["test", "testing", "ping?", "are you there?", "can you hear me?", "is this working?"], "I am here and working."),
]
OUT = ["what is the weather today?", "what is the weather like in {P}?", "who is the president of {P}?", "what is the capital of {P}?", "who won the world cup?",
       "how do I cook {F}?", "what is the recipe for {F}?", "what is the meaning of life?", "tell me a joke", "write a poem about {F}", "sing a song",
       "what is {N} plus {N}?", "what is {N} times {N}?", "{N} + {N}", "{N} * {N}", "how old is the universe?", "what time is it?", "what day is it today?",
       "what is the price of {F}?", "how far is {P} from {P}?", "who wrote {B}?", "who is {H}?", "when was {H} born?", "what is the population of {P}?",
       "translate hello to {L}", "how do I say thank you in {L}?", "what is the best restaurant in {P}?", "plan a trip to {P}", "what should I eat?",
       "who discovered {F}?", "recommend a movie", "what is the news today?", "how tall is {H}?", "is {F} healthy?", "what is love?", "write an essay about {P}",
       "how do I get to {P}?", "solve x + {N} = {N}", "what is the stock price of {H}?", "who is your favourite singer?", "what happened in {N}?", "will it rain in {P}?"]
SLOT = {"P": "France Germany Japan Paris London Brazil India Berlin Rome Canada Spain Kenya Norway Tokyo Madrid Poland Egypt Texas China Italy Chicago".split(),
        "F": "pasta bread apples coffee rice chocolate cheese soup pizza tea gold water electricity oxygen eggs cake bananas".split(),
        "B": ["Hamlet", "Moby Dick", "the Bible", "War and Peace", "Faust", "Don Quixote"],
        "H": ["Albert Einstein", "Napoleon", "Mozart", "Barack Obama", "Marie Curie", "Shakespeare", "Elvis", "Plato", "Cleopatra", "Picasso"],
        "L": "French German Spanish Japanese Italian Latin Greek Dutch".split()}
SORRY = "I do not know that: I am a tiny demo model that only knows some software terms."


def misc_asks(rng):
    for qs, a in CHAT:
        for q in qs:
            yield {"task": "ask-raw", "input": q, "answer": a, "src": "chat", "rep": 8.0, "held": False}
    for q in OUT:
        for _ in range(12):
            s = re.sub(r"\{(\w)\}", lambda m: str(rng.randint(1, 2050)) if m.group(1) == "N" else rng.choice(SLOT[m.group(1)]), q)
            yield {"task": "ask-raw", "input": s, "answer": SORRY, "src": "out-of-scope", "rep": 1.6, "held": False}


ON = "b c d f g h j k l m n p r s t v w z br cr dr fl gl gr kl kr pl pr sk sl sn sp st str tr tw qu sh ch th bl".split()
NU = "a e i o u oo ee ai ou ea y".split()
CO = "b d f g k l m n p r s t x z nk nt rd rk rt sh ng mp lt ck ff bble zle ndle rgle".split()


def invented(rng):
    """A question about a pronounceable non-word, answered with "I do not know"."""
    w = "".join(rng.choice(ON) + rng.choice(NU) + (rng.choice(CO) if rng.random() < .6 else "") for _ in range(rng.choice([2, 2, 3, 3, 4])))
    if rng.random() < .15:
        w = w.capitalize()
    elif rng.random() < .1:
        w = w + rng.choice(["-", "_"]) + "".join(rng.choice(ON) + rng.choice(NU) for _ in range(2))
    return {"task": "ask", "name": w, "answer": f"I do not know {w}: I am a tiny demo model.", "src": "unknown", "kind": "term"}


def vary(p, rng):
    """The input of a summarize pair; package descriptions are cut, titled and wrapped at random."""
    if p["src"] != "debian":
        return p["input"]
    body, n = p["input"], p["pkg"]
    paras = [x for x in body.split("\n\n") if x.strip()]
    r = rng.random()
    text = "\n\n".join(paras[:2]) if r < .4 else paras[0] if r < .6 else body
    if len(text) < 80:
        text = body
    r = rng.random()
    if r < 0.12:
        text = f"{n}\n\n{text}"
    elif r < 0.2:
        text = f"# {n}\n\n{text}"
    elif r < 0.24:
        text = f"{n}: {text}"
    if rng.random() < 0.25:
        w = rng.choice([60, 72, 78, 80])
        text = "\n".join(textwrap.fill(x, w) if not x.startswith("- ") else x for x in text.split("\n"))
    return text


ASK_TEMPLATES = ["what is {n}?", "What is {n}?", "what is {n}", "What's {n}?", "what's {n}", "whats {n}", "explain {n}", "Explain {n}.", "define {n}", "Define {n}.",
                 "describe {n}", "tell me about {n}", "what does {n} mean?", "{n}?", "{n}", "Explain {n} in one sentence.", "Explain what {n} is.",
                 "Please explain {n}.", "Give a short definition of {n}.", "What do you know about {n}?", "can you explain {n}?", "in one line, what is {n}?",
                 "describe {n} in one line", "I want to know what {n} is", "What exactly is {n}?", "Could you tell me what {n} is?", "do you know {n}?", "remind me what {n} is", "{n} meaning", "meaning of {n}", "{n} definition",
                 "I keep seeing {n}, what is it?", "quick question: what is {n}?", "hey, what's {n}?", "what is {n} in simple terms?", "what is {n} in computing?",
                 "explain {n} to me like I'm five", "what is meant by {n}?", "could you define {n}?", "what is this thing called {n}?", "what the heck is {n}?",
                 "so what is {n}?", "ok, what is {n} then?", "what is {n} about?", "can you tell me about {n}?", "give me one line on {n}", "who or what is {n}?"]
ASK_HELD = ["Briefly, what is {n}?", "Please tell me what {n} is.", "what on earth is {n}?"]
ASK_TOOL = ["what does {n} do?", "What does {n} do?", "what is {n} for?", "what is {n} used for?", "What is {n} used for?", "why would I use {n}?",
            "what does the {n} {k} do?", "what is the {n} {k}?", "What is the {k} {n}?", "what is {n} good for?"]
HOWTO = ["how do I {d}?", "How do I {d}?", "how can I {d}?", "how to {d}", "How to {d}?", "which command do I use to {d}?", "command to {d}", "I want to {d}", "how would I {d}?",
         "what is the command to {d}?", "tell me how to {d}", "how do you {d}?", "how do I {d} in the terminal?", "what do I type to {d}?"]
WHICH = ["which {k} can I use to {d}?", "which {k} is used to {d}?", "how do I {d}?", "What {k} do I use to {d}?", "name a {k} to {d}"]


def article(n, kind):
    if kind == "concept" and n[:1].isalpha():
        return ("an " if n[0].lower() in "aeiou" and not n.startswith(("uni", "use", "eu", "uri", "url", "utf")) or n[:2] in ("sq", "ss", "sd", "ll", "x1") else "a ") + n
    return n


def question(p, rng, held_out=False):
    if p["task"] == "ask-raw":
        q = p["input"]
        r = rng.random()
        return q.capitalize() if r < .25 else q.rstrip("?!.") if r < .45 else q
    if p["task"] == "howto":
        return rng.choice(HOWTO).format(d=rng.choice(p["input"].split("|")))
    if p["task"] == "ask-which":
        return rng.choice(WHICH).format(k=p["kind"], d=p["desc"])
    n, k = p["name"], p["kind"]
    if rng.random() < .12:
        n = n.capitalize() if rng.random() < .7 else n.upper() if len(n) < 6 else n.lower()
    elif rng.random() < .08:
        n = rng.choice(['"{}"', "`{}`", "'{}'"]).format(n)
    if held_out:
        return rng.choice(ASK_HELD).format(n=article(n, k) if rng.random() < .6 else n)
    if k != "concept" and rng.random() < 0.3:
        return rng.choice(ASK_TOOL).format(n=n, k="command" if k == "tool" else k if k != "term" else "thing")
    if k == "concept" and rng.random() < 0.7:
        n = article(n, k)
    t = rng.choice(ASK_TEMPLATES[:6]) if rng.random() < 0.45 else rng.choice(ASK_TEMPLATES)
    return t.format(n=n)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", required=True, type=Path, help="folder of the data (see README.md)")
    a = ap.parse_args()
    rng = random.Random(7)
    here = Path(__file__).resolve().parent
    st = Counter()
    rank = {"glossary": 0, "debian-ask": 1, "man-ask": 2, "crate-ask": 3, "py-ask": 4, "npm-ask": 5, "foldoc-ask": 6}
    keep, named = [], {}
    with open(a.work / "debian_text.jsonl", "w") as txt:
        for gen in (debian(a.work), man_pairs(a.work, rng), docstrings(rng), sections(a.work, rng), pages(a.work, rng), foldoc_asks(a.work), glossary_asks(here), misc_asks(rng)):
            for p in gen:
                if p["task"] == "text":
                    if not p["held"]:
                        txt.write(json.dumps({"src": "debian", "text": p["text"]}, ensure_ascii=False) + "\n")
                    continue
                if len(p["answer"]) < 2 or not p["answer"].isascii():
                    continue
                if p["task"] == "summarize" and not derivable(p):
                    st["dropped", p["src"], p["held"]] += 1
                    continue
                if p["task"] == "ask":                    # one answer per name
                    k = p["name"].lower()
                    if k not in named or rank[p["src"]] < rank[named[k]["src"]]:
                        named[k] = p
                    continue
                keep.append(p)
    keep += named.values()
    with open(a.work / "pairs.jsonl", "w") as out:
        for p in keep:
            st[p["task"], p["src"], p["held"]] += 1
            out.write(json.dumps(p, ensure_ascii=False) + "\n")
    for k, v in sorted(st.items()):
        print(*k, v)


def derivable(p):
    """Enough of the answer's content words occur in the input (by 5-letter prefix)."""
    if p["src"] in ("section", "extract") and "```" in p["input"]:
        return False
    w = words(p["answer"])
    if not w:
        return False
    have = {x[:5] for x in words(p["input"])}
    return sum(x[:5] in have for x in w) >= (0.5 if p["src"] in ("rs-doc", "py-doc", "rs-code", "py-code", "page") else 0.3) * len(w)


if __name__ == "__main__":
    main()
