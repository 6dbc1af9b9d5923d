"""A run's folder: its name, its one owner and its one config, `config.json` and `results.json`."""

import fcntl
import json
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

import rnn_jax
from rnn_jax.train.errors import UserError
from rnn_jax.train.log import write_atomically

ROOT = Path(rnn_jax.__file__).resolve().parents[1]  # configs/ stands beside rnn_jax/, in a checkout and installed
# Top-level config keys that do not belong to the model: a workdir takes any of them.
OPEN_KEYS = ("mode", "sample", "decode", "audio", "images", "clips")
# Where things lie. What works on a trained model takes others: the same files may lie elsewhere by now. Training does
# not, for these name its workdir.
PLACES = ("data.root", "data.path", "data.cache", "encoder.weights", "captions")


def default_path(study, stem, overrides) -> Path:
    """runs/<study>/<stem>_<key>=<value>..., the same folder for the same overrides in any order."""
    named = {k: v for k, v in sorted(overrides.items()) if not _open(k)}
    text = "_".join([stem, *(f"{k}={v}" for k, v in named.items())])
    return Path("runs") / study / re.sub(r"[^\w.=,+-]", "-", re.sub(r"[\s()'\"]", "", text), flags=re.ASCII)[:200]


class owned:
    """The folder, made and locked: two runs in one workdir would write over each other. No file is left behind."""

    def __init__(self, workdir):
        self.workdir = workdir

    def __enter__(self):
        try:
            self.workdir.mkdir(parents=True, exist_ok=True)
            self.fd = os.open(self.workdir, os.O_RDONLY)
            (probe := self.workdir / ".writable").touch()
            probe.unlink()
        except OSError as error:
            why = "it is a file" if self.workdir.is_file() else error.strerror
            raise UserError(f"cannot write to workdir {self.workdir} ({why}): choose another --workdir") from None
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self.fd)
            raise UserError(f"{self.workdir} is in use by another process: choose another --workdir") from None
        except OSError:
            pass  # a file system without locks

    def __exit__(self, *_):
        os.close(self.fd)


def claim(workdir, config, provenance) -> dict | None:
    """Writes config.json into a new workdir, or recognises its own. Returns the results of a finished run."""
    saved = read_config(workdir)
    if saved is None:
        if (workdir / "checkpoints").exists() or (workdir / "results.json").exists():
            raise UserError(f"{workdir} holds a run without its config.json: choose another --workdir, or delete it")
        write_atomically(workdir / "config.json", dumps({"config": config, **provenance}))
        return None
    refuse_other(workdir, saved, config)
    results = workdir / "results.json"
    return _read(results, "delete that file and start again") if results.exists() else None


def read_config(workdir, study="") -> dict | None:
    """The config of a run, None where there is none; UserError where it is damaged or of another study."""
    path = workdir / "config.json"
    if not path.exists():
        return None
    remedy = "restore it, or choose another --workdir"
    saved = _read(path, remedy)
    if study and saved.get("study", study) != study:
        raise UserError(f"{workdir} holds a run of experiments.{saved['study']}: want one of experiments.{study}")
    if not isinstance(saved.get("config"), dict):
        raise UserError(f"{path} is damaged (it has no config): {remedy}")
    return saved["config"]


def refuse_other(workdir, saved, mine, places=()):
    """UserError that names the keys in which two plain configs differ, OPEN_KEYS and `places` aside."""
    counts = lambda key: not _open(key) and key not in places
    saved, mine = ({k: json.dumps(v) for k, v in flatten(x).items() if counts(k)} for x in (saved, mine))
    both = [(k, saved.get(k, "absent"), mine.get(k, "absent")) for k in sorted({*saved, *mine})]
    if differ := "; ".join(f"{k} is {theirs} there, {ours} here" for k, theirs, ours in both if theirs != ours):
        raise UserError(f"{workdir} belongs to another config: {differ}. Choose another --workdir, or delete it")


def describe(study, command) -> dict:
    """Where the numbers of a run come from."""
    devices = jax.devices()
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(git, capture_output=True, text=True, timeout=10) if (ROOT / ".git").exists() else None
    except (OSError, subprocess.TimeoutExpired):
        found = None
    packages = {name: version(name) for name in ("jax", "jaxlib", "flax", "optax")}
    return {
        "study": study,
        "versions": {"python": platform.python_version(), **packages, "rnn_jax": rnn_jax.__version__},
        "device": f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})",
        "git_commit": found.stdout.strip() if found and found.returncode == 0 else None,
        "command": command,
    }


def flatten(tree, prefix="") -> dict:
    """{"a.b": value} of nested dicts."""
    out = {}
    for key, value in tree.items():
        out |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return out


def dumps(value):
    return json.dumps(value, indent=2, default=lambda x: np.asarray(x).tolist()) + "\n"


def _open(key):
    return key.split(".")[0] in OPEN_KEYS


def _read(path, remedy):
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): {remedy}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged (not a JSON object): {remedy}")
    return value
