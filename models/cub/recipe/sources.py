"""Where on a Debian developer's machine the code and its documentation lie; a folder that is missing adds nothing."""
import sysconfig
from pathlib import Path

CRATES = Path.home() / ".cargo/registry/src"
NODE = Path("/usr/lib/node_modules")
PERL = Path("/usr/share/perl")
INCLUDE = Path("/usr/include")
PYTHON = Path(sysconfig.get_path("stdlib"))
RUST_DOCS = sorted(Path.home().glob(".rustup/toolchains/stable-*/share/doc/rust/html"))
