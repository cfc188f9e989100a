"""Turn the documentation on this machine into plain text documents.

Writes WORK/corpus.jsonl, one {"src": ..., "text": ...} per line.  Sources:
HTML documentation packages, Rust's HTML docs, man pages (rendered by mandoc),
README files, FOLDOC and the Jargon File, source code of various languages.
Long paragraphs already seen elsewhere are dropped.
"""
import argparse, gzip, hashlib, json, random, re, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from lxml import html as lh

from sources import CRATES, INCLUDE, NODE, PERL, PYTHON, RUST_DOCS

BLOCK = {"p", "div", "section", "article", "table", "tr", "ul", "ol", "dl", "li", "dt", "dd", "pre",
         "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "body", "main", "figure", "details", "summary", "hr"}
SKIP = {"script", "style", "nav", "header", "footer", "aside", "head", "svg", "button", "form", "img", "noscript",
        "rustdoc-topbar", "rustdoc-toolbar", "select", "input"}
SKIP_CLASS = re.compile(
    r"sphinxsidebar|^related$|headerlink|navheader|navfooter|^toc$|toctree|sidebar|breadcrumb|spirit-nav|"
    r"toplang|bottomlang|^nav|footer|item-decl-toggle|^src$|rightside|out-of-band|menu|mobile|anchor|copyright|"
    r"impl-items|trait-impl|code-attributes|blanket|^tooltip|quickview|page_header|genindextable|linenos")


def class_skipped(el):
    c = el.get("class")
    return bool(c) and any(SKIP_CLASS.search(x) for x in c.split())


def walk(el, out, pre):
    tag = el.tag
    if not isinstance(tag, str):
        return
    if tag in SKIP or class_skipped(el):
        return
    if tag == "pre":
        t = "".join(el.itertext()).strip("\n")
        out.append("\n\n```\n" + t + "\n```\n\n" if "\n" in t else "\n\n    " + t.strip() + "\n\n")
        return
    block = tag in BLOCK
    if tag in ("h1", "h2", "h3", "h4"):
        t = re.sub(r"\s+", " ", "".join(el.itertext())).strip(" ¶§#🔗")
        out.append("\n\n" + "#" * int(tag[1]) + " " + t + "\n\n")
        return
    if tag == "br":
        out.append("\n")
        return
    if tag in ("td", "th"):
        out.append(" ")
    if tag == "li":
        out.append("\n- ")
    elif block:
        out.append("\n\n" if tag not in ("tr", "dt", "dd", "li") else "\n")
    if el.text:
        out.append(re.sub(r"\s+", " ", el.text))
    for ch in el:
        walk(ch, out, pre)
        if ch.tail:
            out.append(re.sub(r"\s+", " ", ch.tail))
    if block:
        out.append("\n\n" if tag not in ("tr", "dt", "dd", "li") else "\n")


MAIN = ["//main", "//section[@id='main-content']", "//div[@role='main']", "//div[@class='body']",
        "//div[@id='page-content']", "//div[@id='content']", "//article", "//body"]


def html_text(data: bytes) -> str:
    try:
        tree = lh.fromstring(data.decode("utf-8", "replace").encode("utf-8"),
                             parser=lh.HTMLParser(encoding="utf-8"))
    except Exception:
        return ""
    root = None
    for xp in MAIN:
        r = tree.xpath(xp)
        if r:
            root = r[0]
            break
    if root is None:
        return ""
    out = []
    for ch in root:
        walk(ch, out, False)
        if ch.tail and ch.tail.strip():
            out.append(re.sub(r"\s+", " ", ch.tail))
    t = "".join(out)
    return clean(t)


def clean(t: str) -> str:
    t = t.replace("\u00a0", " ").replace("\u200b", "").replace("¶", "").replace("\r", "")
    t = t.replace("“", '"').replace("”", '"').replace("‘", "'").replace("’", "'").replace("…", "...")
    t = t.replace("‐", "-").replace("–", "-").replace("−", "-").replace("•", "-").replace("·", "-")
    t = re.sub(r"[ \t]+\n", "\n", t)
    t = re.sub(r"\n- \s*\n+", "\n- ", t)
    t = re.sub(r"\n{3,}", "\n\n", t)
    return t.strip()


def read_any(p: Path) -> bytes:
    d = p.read_bytes()
    if p.suffix == ".gz":
        d = gzip.decompress(d)
    return d


def do_html(p):
    try:
        d = read_any(Path(p))
    except Exception:
        return None
    if len(d) > 1_500_000:
        return None
    return html_text(d)


def do_man(p):
    try:
        r = subprocess.run([MANDOC, "-T", "utf8", "-O", "width=78,indent=4", p],
                           capture_output=True, timeout=20)
    except Exception:
        return None
    t = re.sub(r".\x08", "", r.stdout.decode("utf-8", "replace"))
    lines = t.strip("\n").split("\n")
    if len(lines) < 8:
        return None
    return clean("\n".join(l.rstrip() for l in lines[1:-1]))


MANDOC = None


def list_sources(work: Path):
    raw = work / "raw"
    doc = raw / "usr/share/doc"
    html_dirs = [d for d in doc.iterdir() if d.is_dir()]
    for d in sorted(html_dirs):
        files = [f for f in sorted(d.rglob("*")) if f.is_file() and re.search(r"\.html?(\.gz)?$", f.name)]
        keep = []
        for f in files:
            s = str(f.relative_to(doc))
            if re.search(r"/(fr|de|ja|es|pt|ko|tr|zh|da|pt-br|zh-cn|ru|it|pl|cs|ar|el|fi|id|nb-NO|nl|sv|ro|uk|vi|"
                         r"[a-z]{2}-[A-Z]{2})/", s) and "/en" not in s:
                continue
            if "debian-handbook" in s and "en-US" not in s:
                continue
            if re.search(r"genindex|py-modindex|/_sources/|search\.html|whatsnew/changelog|/_modules/", s):
                continue
            keep.append(f)
        yield d.name, "html", keep
    # text files in doc packages (linux-doc, vim help is .txt.gz)
    txt = [f for f in sorted(raw.rglob("*.txt")) + sorted(raw.rglob("*.txt.gz")) if f.is_file()]
    yield "doc-txt", "text", txt
    ri = sorted(Path("/usr/share/doc").rglob("*.html"))
    yield "local-html", "html", [f for f in ri if f.is_file()]
    if RUST_DOCS:
        r = RUST_DOCS[0]
        for sub in ["book", "cargo", "reference", "nomicon", "rustc", "rustdoc", "rust-by-example", "edition-guide",
                    "embedded-book", "error_codes", "clippy", "style-guide", "std", "alloc", "proc_macro"]:
            fs = [f for f in sorted((r / sub).rglob("*.html")) if not re.search(r"print\.html|/macro\.|all\.html|/arch/", str(f))]
            if sub in ("std", "alloc"):
                fs = [f for f in fs if re.search(r"/(struct|trait|enum|index|keyword|primitive|fn)\b", "/" + f.name)]
            yield "rust-" + sub, "html", fs
    # man pages
    mans = {}
    for base in (raw / "usr/share/man", Path("/usr/share/man")):
        for sec in range(1, 10):
            for f in sorted((base / f"man{sec}").glob("*")):
                if f.is_symlink() or not f.is_file():
                    continue
                mans.setdefault(f.name.removesuffix(".gz"), f)
    rng = random.Random(1)
    gcloud = [n for n in mans if n.startswith("gcloud_")]
    keep_g = set(rng.sample(gcloud, min(700, len(gcloud))))
    yield "man", "man", [f for n, f in sorted(mans.items()) if not n.startswith("gcloud_") or n in keep_g]


CODE = [  # (label, root glob, suffixes, byte budget)
    ("rs", CRATES, (".rs",), 14_000_000),
    ("py", PYTHON, (".py",), 11_000_000),
    ("js", NODE, (".js", ".mjs"), 4_000_000),
    ("ts", NODE, (".ts",), 600_000),
    ("h", INCLUDE, (".h", ".hpp"), 4_000_000),
    ("pl", PERL, (".pl", ".pm"), 2_500_000),
    ("sh", Path("/usr"), (".sh",), 1_000_000),
    ("toml", CRATES, (".toml",), 500_000),
    ("json", NODE, ("package.json",), 400_000),
]


def foldoc(work: Path, name: str):
    d = work / "raw/usr/share/dictd"
    blob = gzip.decompress((d / f"{name}.dict.dz").read_bytes())
    b64 = {c: i for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}
    num = lambda s: sum(b64[c] * 64 ** i for i, c in enumerate(reversed(s)))
    for line in (d / f"{name}.index").read_text("utf-8", "replace").split("\n"):
        p = line.split("\t")
        if len(p) >= 3 and not p[0].startswith("00"):
            yield p[0], blob[num(p[1]):num(p[1]) + num(p[2])].decode("utf-8", "replace")


def main():
    global MANDOC
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", required=True, type=Path, help="folder of the data (see README.md)")
    ap.add_argument("--jobs", type=int, default=1, help="processes")
    a = ap.parse_args()
    MANDOC = str(a.work / "raw/usr/bin/mandoc")
    seen = set()
    stats = {}
    out = open(a.work / "corpus.jsonl", "w")
    cap = {"libboost1.74-doc": 7e6, "linux-doc-6.1": 30e6, "php-doc": 11e6, "python-numpy": 9e6, "cmake-data": 7e6,
           "installation-guide-amd64": 3e6, "llvm-14-doc": 9e6, "rust-clippy": 2e6, "local-html": 8e6}

    def emit(src, text, minlen=200, maxlen=60_000, dedupe=True):
        if not text or len(text) < minlen:
            return
        text = text[:maxlen]
        if dedupe:
            keep = []
            for par in text.split("\n\n"):
                if len(par) > 60:
                    h = hashlib.blake2b(re.sub(r"\W+", "", par).lower().encode(), digest_size=8).digest()
                    if h in seen:
                        continue
                    seen.add(h)
                keep.append(par)
            text = "\n\n".join(keep).strip()
            if len(text) < minlen:
                return
        letters = sum(c.isascii() for c in text)
        if letters < 0.97 * len(text):
            return
        s = stats.setdefault(src, [0, 0])
        if s[1] > cap.get(src, 1e9):
            return
        s[0] += 1
        s[1] += len(text)
        out.write(json.dumps({"src": src, "text": text}, ensure_ascii=False) + "\n")

    rng = random.Random(0)
    with ProcessPoolExecutor(a.jobs) as ex:
        for src, kind, files in list_sources(a.work):
            if src in cap:
                rng.shuffle(files)
            if kind == "html":
                for t in ex.map(do_html, map(str, files), chunksize=32):
                    emit(src, t)
            elif kind == "man":
                for f, t in zip(files, ex.map(do_man, map(str, files), chunksize=16)):
                    emit("man-gcloud" if "/gcloud_" in str(f) else "man", t, maxlen=40_000)
            else:
                for f in files:
                    try:
                        t = clean(read_any(f).decode("utf-8"))
                    except Exception:
                        continue
                    emit(src, t)
            if src in stats:
                print(src, stats[src], file=sys.stderr, flush=True)
    for name in ("foldoc", "jargon"):
        for _, body in foldoc(a.work, name):
            emit(name, clean(body), minlen=60)
    md = [f for root in (CRATES, NODE, PYTHON) for f in root.rglob("*.md") if re.match(r"readme|changelog\.md|contributing\.md", f.name, re.I)]
    for f in sorted(md):
        try:
            t = clean(f.read_text("utf-8"))
        except Exception:
            continue
        emit("readme" if "readme" in f.name.lower() else "changelog", t, maxlen=30_000)
    for lab, root, suf, budget in CODE:
        fs = [f for f in sorted(root.rglob("*")) if f.name.endswith(suf) and f.is_file() and not f.is_symlink()
              and f.stat().st_size < 200_000 and not re.search(r"/(test|tests|idlelib|lib2to3|encodings|ensurepip|bindings|min)/", str(f))
              and not re.search(r"\.min\.js$|unicode_data|tables?\.rs$|/libc-|/unicode", str(f))]
        rng.shuffle(fs)
        n = 0
        for f in fs:
            try:
                t = f.read_text("utf-8")
            except Exception:
                continue
            t = t[:24_000]
            n += len(t)
            emit("code-" + lab, f"// {f.name}\n" * (lab in ("rs", "js", "ts", "h")) + t, maxlen=24_000, dedupe=True)
            if n > budget:
                break
    out.close()
    tot = sum(s[1] for s in stats.values())
    for k, v in sorted(stats.items(), key=lambda x: -x[1][1]):
        print(f"{k:28s} {v[0]:7d} docs {v[1] / 1e6:8.2f} MB")
    print("total MB", tot / 1e6)


if __name__ == "__main__":
    main()
