"""The default text: the source of Python's standard library, there on every machine that can run this package.

About 350 files, 7.4 million characters of real code. The text belongs to the Python version, which the report names:
compare losses within one version only.
"""

import hashlib
import sysconfig
import tokenize
from pathlib import Path

from rnn_jax.data.errors import DataError

# In 3.11, 3.12 and 3.13 alike; without what some distributions package apart (tkinter, idlelib, ensurepip, test).
NAMES = """
_collections_abc _compat_pickle _markupbase _osx_support _py_abc _pydecimal _pyio _strptime _threading_local
_weakrefset abc argparse ast asyncio base64 bdb bisect bz2 calendar cmd code codecs codeop collections compileall
concurrent configparser contextlib copy copyreg cProfile csv ctypes curses dataclasses datetime dbm difflib dis
doctest email enum filecmp fileinput fnmatch fractions ftplib functools genericpath getopt getpass gettext glob
graphlib gzip hashlib heapq hmac html http imaplib importlib inspect io ipaddress json linecache locale logging
lzma mailbox mimetypes modulefinder multiprocessing netrc ntpath numbers opcode operator optparse os pathlib pdb
pickle pickletools pkgutil platform plistlib poplib posixpath pprint profile pstats pty py_compile pyclbr pydoc
queue quopri random re reprlib rlcompleter runpy sched secrets selectors shelve shlex shutil signal site smtplib
socket socketserver sqlite3 ssl stat statistics string stringprep subprocess symtable sysconfig tabnanny tarfile
tempfile textwrap threading timeit tokenize tomllib trace traceback tracemalloc turtle types typing unittest urllib
uuid venv warnings wave weakref webbrowser wsgiref xml xmlrpc zipapp zipfile zipimport zoneinfo
"""
TABLES = {"html/entities.py"}  # a generated table, not written text


def digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def held_out(name: str) -> bool:
    """One file of 20, by its name alone: a file is on the same side in every version and on every machine."""
    return int.from_bytes(digest(name)[:4], "big") % 20 == 0


def home() -> Path:
    return Path(sysconfig.get_paths()["stdlib"])


def files(root: Path) -> list[str]:
    """Names relative to `root`, in a fixed shuffled order. What a distribution lacks is left out."""
    paths = [p for n in NAMES.split() for p in (root / f"{n}.py", *(root / n).rglob("*.py")) if p.is_file()]
    names = {p.relative_to(root).as_posix() for p in paths if not {"test", "tests"} & set(p.relative_to(root).parts)}
    return sorted(names - TABLES, key=digest)


def read(root: Path) -> list[tuple[str, str]]:
    """(name, text) of every file, decoded as Python does (PEP 263). Empty and unreadable files are left out."""
    documents = []
    for name in files(root):
        try:
            with tokenize.open(str(root / name)) as file:
                documents.append((name, file.read()))
        except (OSError, SyntaxError, UnicodeDecodeError):
            continue
    documents = [(name, text) for name, text in documents if text]
    if not documents:
        raise DataError(
            f"no source of the standard library in {root}: set config.data.source=text and config.data.path"
        )
    return documents
