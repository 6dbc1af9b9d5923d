"""The front door of every experiment: flags, the config and its checks, exit codes. An experiment module ends with

    if __name__ == "__main__":
        cli.run(main, study="char_lm")  # main(config, workdir: Path) -> dict of headline numbers

and is called as

    python -m experiments.char_lm [--config=configs/char_lm/<run>.py] [--workdir=DIR] [--config.a.b=value ...]
"""

import copy
import difflib
import importlib.util
import json
import re
import shlex
import sys
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_dict, config_flags

from rnn_jax.train import loop, memory, optim, workdir
from rnn_jax.train.errors import UserError
from rnn_jax.train.log import write_atomically
from rnn_jax.train.meanings import meanings

COLUMN = 40  # where --help says what a key means


def run(main, *, study, default="default", check=None, argv=None, keep_memory=True):
    """Runs `main(config, workdir)` as the command line asks, writes results.json, and exits (SystemExit).

    default: the config without --config, configs/<study>/<default>.py. check: config -> None, raising UserError or
    ValueError with a sentence; it runs before anything is written. argv: None: this process's, which then is the
    study's own and, with keep_memory, keeps what it has freed (rnn_jax/train/memory.py). Exit codes: 0 done; 2 a wrong
    call or bad input; 3 a loss that is not finite; 75 interrupted after saving. An exception with an `exit_code` ends
    as one line.
    """
    if argv is None and keep_memory:
        memory.keep()
    code, text = 0, ""
    try:
        _run(main, study, default, check or (lambda config: None), sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        code, text = 130, "interrupted before there was anything to save"
    except Exception as error:
        code = getattr(error, "exit_code", None)
        if code is None:
            raise
        text = f"{'interrupted' if code == 75 else 'error'}: {error}"
    if text:
        print(" ".join(text.split()), file=sys.stderr, flush=True)
    sys.exit(code)


def _run(main, study, default, check, argv):
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # libraries below ask absl's global flags; ours are objects of their own
    options, rest = _options(argv)
    path = _find(options.config or f"configs/{study}/{default}.py")
    base, module = _load(path)
    if options.help:
        print(_help(study, path, module, base, sys.modules[main.__module__].__doc__))
        return
    if options.workdir == "":
        raise UserError("--workdir is empty; want a folder")
    folder = None if options.workdir is None else Path(options.workdir)
    mode = _mode(rest, base)
    if mode == "train" or folder is None:
        config, overrides = _override(copy.deepcopy(base), rest, path)
        folder = folder or workdir.default_path(study, path.stem, overrides)
        if mode == "train":
            _check(config, check)
            with workdir.owned(folder):
                command = shlex.join(["python", "-m", f"experiments.{study}", *argv])
                results = workdir.claim(folder, _plain(config), workdir.describe(study, command))
                if results is not None:
                    print(f"finished already: {folder}\n{workdir.dumps(results)}", end="")
                    return
                write_atomically(folder / "results.json", workdir.dumps(main(config, folder) or {}))
            print(f"done: {folder / 'results.json'}")
            return
    # Another mode works on a trained model: its config is the one it was trained with.
    saved = workdir.read_config(folder, study)
    if saved is None:
        _check(_override(copy.deepcopy(base), rest, path)[0], check)  # there may be no such mode
        raise UserError(f"{folder} holds no run to {mode}: train it first, or name a trained run with --workdir")
    config, _ = _override(_reread(saved, base), rest, folder / "config.json")
    workdir.refuse_other(folder, saved, _plain(config), workdir.PLACES)
    _check(config, check)
    results = main(config, folder)
    if results is not None:
        print(workdir.dumps(results), end="")


def _options(argv):
    own = flags.FlagValues()
    own.set_gnu_getopt(True)
    flags.DEFINE_string("config", None, "", flag_values=own)
    flags.DEFINE_string("workdir", None, "", flag_values=own)
    flags.DEFINE_boolean("help", False, "", short_name="h", flag_values=own)
    try:
        rest = own(["", *argv], known_only=True)[1:]
    except flags.Error as error:
        raise UserError(str(error)) from None
    for name in (x.lstrip("-").split("=")[0] for x in rest if re.match(r"--?[A-Za-z]", x)):
        if not name.startswith(("config.", "noconfig.")):
            near = difflib.get_close_matches(name, ["config", "workdir", "help"], 1)
            hint = f"; nearest: --{near[0]}" if near else ""
            raise UserError(f"unknown flag --{name}{hint}; flags: --config, --workdir, --help, --config.<key>=value")
    return own, rest


def _find(name):
    for path in (Path(name), workdir.ROOT / name):
        if path.is_file():
            return path
    folder = next((p for p in (Path(name).parent, workdir.ROOT / Path(name).parent) if p.is_dir()), None)
    near = difflib.get_close_matches(Path(name).stem, _configs(folder), 1)
    hint = f"; nearest: {Path(name).parent / near[0]}.py" if near else ""
    raise UserError(f"no config file {name}{hint}; {Path(name).parent}/ has {', '.join(_configs(folder)) or 'none'}")


def _configs(folder):
    return sorted(p.stem for p in folder.glob("*.py") if p.stem != "__init__") if folder else []


def _load(path):
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"config file {path} is not a Python file (.py)")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        config = module.get_config()
    except Exception as error:
        raise UserError(f"config file {path} does not load: {type(error).__name__}: {error}") from error
    if not isinstance(config, ConfigDict):
        raise UserError(f"config file {path}: get_config() gives a {type(config).__name__}, want a ConfigDict")
    return config, module


def _override(config, rest, source):
    """(config with the --config.<key>=value of `rest`, those overrides as {key: value})."""
    known = workdir.flatten(config.to_dict())
    for arg in rest:
        if match := re.match(r"--?(?:no)?config\.([^=]*)", arg):
            _known(match[1], known, source)
    values = flags.FlagValues()
    values.set_gnu_getopt(True)
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=["", *rest])
        left = values(["", *rest])[1:]
        config, overrides = values.config, dict(config_flags.get_override_values(values["config"]))
    except (flags.Error, TypeError, ValueError) as error:
        match = re.search(r"config\.([\w.]+)(=[^:]*)?", str(error))
        if match is None or match[1] not in known:
            raise UserError(str(error)) from None
        raise _wrong_type(match[1], match[2] or "", config, known) from None
    if left:
        raise UserError(f"unexpected argument {left[0]!r}; overrides are written --config.<key>=value")
    for key, value in overrides.items():  # ml_collections takes any text for a tuple: "x" becomes ("x",)
        like = known[key]
        if isinstance(like, tuple) and like and not all(isinstance(v, type(like[0])) for v in value):
            raise _wrong_type(key, f"={value}", config, known)
    return config, overrides


def _known(key, known, source):
    if inside := [f"--config.{k}" for k in known if k.startswith(f"{key}.")]:
        raise UserError(f"--config.{key} is a section; it has {', '.join(inside)}")
    if key in known:
        return
    near = difflib.get_close_matches(key, known, 3)
    last = {k.rsplit(".", 1)[-1]: k for k in known}  # a key named without its section, or with another one
    near += [last[k] for k in difflib.get_close_matches(key.rsplit(".", 1)[-1], last, 3) if last[k] not in near]
    hint = f"nearest: {', '.join(f'--config.{k}' for k in near[:3])}" if near else f"keys: {', '.join(known)}"
    raise UserError(f"--config.{key} is not a key of {source}; {hint}")


def _wrong_type(key, given, config, known):
    *sections, last = key.split(".")
    for section in sections:
        config = config[section]
    want = config.get_type(last).__name__
    if want == "tuple" and known[key]:
        want = f"a tuple of {type(known[key][0]).__name__}"
    return UserError(f"--config.{key}{given}: want {want}; the default is {known[key]!r}")


def _mode(rest, base):
    for arg, following in zip(rest, [*rest, ""][1:], strict=True):
        name, given, value = arg.lstrip("-").partition("=")
        if name == "config.mode" and "mode" in base:
            return value if given else following
    return base.mode if "mode" in base else "train"


def _check(config, check):
    if "optimizer" in config and "steps" in config:
        loop.check(config)  # a study that trains: what `fit` reads is checked before anything is written
    try:
        check(config)
    except ValueError as error:
        raise UserError(str(error)) from error
    _plain(config)


def _help(study, path, module, config, about):
    usage = f"usage: python -m experiments.{study} [--config=FILE] [--workdir=DIR] [--config.<key>=value ...]"
    others = f"configs in {path.parent}: {', '.join(_configs(path.parent))}"
    doc, known, keys = (module.__doc__ or "").strip(), meanings(module.get_config), []
    if "optimizer" in config and "steps" in config:
        known = loop.MEANINGS | optim.meanings() | known
    for key, value in workdir.flatten(config.to_dict()).items():
        parts, flag = key.split("."), f"  --config.{key}={value}"
        levels = [".".join(parts[:i]) for i in range(len(parts), 0, -1)]
        meaning = next((known.pop(level) for level in levels if level in known), "")  # of a section: with its first key
        keys.append(f"{flag:<{COLUMN}}  {meaning}" if meaning else flag)
    return "\n".join([usage, "", (about or "").strip(), "", f"{path}:", doc, "", others, "keys and defaults:", *keys])


def _plain(config):
    """The config as it reads back from JSON: tuples are lists."""
    for key, value in workdir.flatten(config.to_dict()).items():
        try:
            json.dumps(value)
        except TypeError:
            want = "numbers, text, None and tuples of them"
            raise UserError(f"config.{key} holds a {type(value).__name__}; a config holds {want}") from None
    return json.loads(json.dumps(config.to_dict()))


def _reread(saved, base):
    """A ConfigDict of saved values: lists are tuples again, None takes any type; new open keys come from `base`."""

    def typed(value):
        if isinstance(value, dict):
            return {k: typed(v) for k, v in value.items()}
        if isinstance(value, list):
            return tuple(typed(v) for v in value)
        return config_dict.placeholder(object) if value is None else value

    out = ConfigDict({k: v for k, v in base.to_dict().items() if k in workdir.OPEN_KEYS})
    with out.ignore_type():
        out.update(ConfigDict(typed(saved)))
    return out
