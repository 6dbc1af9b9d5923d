"""What the keys of a config mean: the comments beside them, in the functions that make it. A config is then explained
in one place, for those who read the file and for those who ask for --help."""

import ast
import inspect
import io
import textwrap
import tokenize
from collections.abc import Callable, Iterator
from types import FunctionType

ORDERS = ("fmt:", "type:", "noqa", "pyright:")  # comments for tools


def meanings(make: Callable) -> dict[str, str]:
    """{"data.batch": "rows", ...}: of each key that `make` sets in its `config`, or in the ConfigDict that it returns.

    A comment belongs to what stands on its line, or below it where it stands alone; to a section where the section's
    entries have none. Functions that `make` calls on the way are read as well: those that are given the config, and
    those whose value becomes a section. The first comment counts: that of a run which changes a key says why.
    """
    found: dict[str, str] = {}
    for key, comment in _read(make, ""):
        found.setdefault(key, comment)
    return found


def _read(make: Callable, prefix: str) -> Iterator[tuple[str, str]]:
    try:
        source = textwrap.dedent(inspect.getsource(make))
    except (OSError, TypeError):
        return
    above, beside = _comments(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Return) and node.value is not None:
            yield from _value(node.value, prefix, make, beside)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            if any(isinstance(a, ast.Name) and a.id == "config" for a in node.value.args):
                yield from _called(node.value, prefix, make)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            for target in [t for each in targets for t in (each.elts if isinstance(each, ast.Tuple) else [each])]:
                path = ast.unparse(target).split(".")
                if path[0] != "config":
                    continue
                key = ".".join([*([prefix] if prefix else []), *path[1:]])
                comment = beside.get(node.lineno) or beside.get(node.end_lineno or 0) or above.get(node.lineno)
                if comment and key:
                    yield key, comment
                yield from _value(node.value, key, make, beside)


def _value(node: ast.expr, prefix: str, make: Callable, beside) -> Iterator[tuple[str, str]]:
    """Of a section: a dict, ConfigDict of one, or the function that makes it."""
    if isinstance(node, ast.Call):
        yield from _called(node, prefix, make)
        for each in node.args:
            yield from _value(each, prefix, make, beside)
    entries: list[tuple[object, ast.expr]] = []
    if isinstance(node, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        entries = list(zip(keys, node.values, strict=True))
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "dict":
        entries = [(each.arg, each.value) for each in node.keywords]
    for key, value in entries:
        if isinstance(key, str):
            name = f"{prefix}.{key}" if prefix else key
            if comment := beside.get(value.end_lineno or 0):
                yield name, comment
            yield from _value(value, name, make, beside)


def _called(call: ast.Call, prefix: str, make: Callable) -> Iterator[tuple[str, str]]:
    value = getattr(make, "__globals__", {})
    for part in ast.unparse(call.func).split("."):
        value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
    if isinstance(value, FunctionType):
        yield from _read(value, prefix)


def _comments(source: str) -> tuple[dict[int, str], dict[int, str]]:
    """(line -> the comments that stand alone above it, line -> the comment beside it)."""
    above, beside, alone = {}, {}, []
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row, text = token.start[0], token.string.lstrip("# ")
        if token.type == tokenize.COMMENT and not text.startswith(ORDERS):
            if lines[row - 1].lstrip().startswith("#"):
                alone.append(text)
            else:
                beside[row] = text
        elif token.type not in (tokenize.COMMENT, tokenize.NL) and alone:
            above[row] = " ".join(alone)
            alone = []
    return above, beside
