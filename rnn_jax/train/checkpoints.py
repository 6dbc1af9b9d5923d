"""Checkpoints (Orbax), in <workdir>/checkpoints/<step>.

Items of one checkpoint: `state` {params, opt_state, carry, step}, each a flat dict leaf name -> array; `data`, the
batches' iterator state; `meta`, JSON with a schema version, the name, dtype and shape of every leaf, and what the
caller adds (a vocabulary). Beside them `crc32.json`, a checksum of each file: a damaged file is found before Orbax
opens it, whose own errors come from several threads at once and would bury the one line that helps.
"""

import json
import zlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnn_jax.train.errors import UserError
from rnn_jax.train.log import write_atomically

SCHEMA = 1
SUMS = "crc32.json"


class Checkpoints:
    """with Checkpoints(workdir, keep) as c: c.latest(), c.save(step, state, data, meta), c.restore(like)."""

    def __init__(self, workdir, keep: int | None = 1):
        self.folder = Path(workdir).absolute() / "checkpoints"
        self.keep = keep

    def __enter__(self):
        import orbax.checkpoint as ocp

        # A kill in mid-save leaves a *.orbax-checkpoint-tmp folder, which this removes. Async saving is off because a
        # step donates its state: the arrays of a save that still runs would be overwritten.
        options = ocp.CheckpointManagerOptions(
            max_to_keep=self.keep, cleanup_tmp_directories=True, enable_async_checkpointing=False
        )
        try:
            if steps := _steps(self.folder):
                _verify(self.folder / str(steps[-1]))
            self.manager = ocp.CheckpointManager(self.folder, options=options)
        except Exception as error:
            raise self._damaged(error) from error
        return self

    def __exit__(self, *_):
        self.manager.close()

    def latest(self) -> int | None:
        return self.manager.latest_step()

    def save(self, step, state, data, meta):
        import orbax.checkpoint as ocp

        if self.latest() == step:
            return
        flat = {part: _named(tree) for part, tree in state.items()}
        meta = meta | {"schema": SCHEMA, "step": step, "leaves": _leaves(flat)}
        items = ocp.args.Composite(
            # an empty dict (plain SGD has no state) is left out: Orbax has no place for it
            state=ocp.args.StandardSave({k: v for k, v in flat.items() if v}),  # pyright: ignore[reportCallIssue]
            data=ocp.args.JsonSave(data),  # pyright: ignore[reportCallIssue]
            meta=ocp.args.JsonSave(meta),  # pyright: ignore[reportCallIssue]
        )
        self.manager.save(step, args=items, force=True)
        folder = self.folder / str(step)
        write_atomically(folder / SUMS, json.dumps(_sums(folder)))

    def restore(self, like):
        """(state, data, meta) of the newest checkpoint, or None. `like`: a state of the same structure."""
        if self.latest() is None:
            return None
        flat, data, meta = self.read()
        where = f"{self.folder / str(self.latest())} is of another model"
        parts = sorted(like, key=lambda part: part != "params")  # of what differs, the parameters say most
        return {k: _unnamed(like[k], flat[k], where, k) for k in parts}, data, meta

    def read(self):
        """(leaves by name, data, meta) of the newest checkpoint, as numpy arrays."""
        import orbax.checkpoint as ocp

        step = self.latest()
        try:
            restore: Any = ocp.args.JsonRestore
            meta = self.manager.restore(step, args=ocp.args.Composite(meta=restore()))["meta"]
            if meta["schema"] == SCHEMA:
                target = {
                    part: {name: np.empty(shape, jnp.dtype(dtype)) for name, (dtype, shape) in leaves.items()}
                    for part, leaves in meta["leaves"].items()
                }
                full: Any = ocp.args.StandardRestore
                items = ocp.args.Composite(state=full({k: v for k, v in target.items() if v}), data=restore())
                got = self.manager.restore(step, args=items)
                return {part: got["state"].get(part, {}) for part in target}, got["data"], meta
        except Exception as error:  # Orbax and tensorstore raise a dozen kinds
            raise self._damaged(error) from error
        raise UserError(f"{self.folder / str(step)} has schema {meta['schema']}; this rnn_jax reads schema {SCHEMA}")

    def _damaged(self, error):
        steps = _steps(self.folder)
        path = self.folder / str(steps[-1]) if steps else self.folder
        earlier = f"step {steps[-2]}" if len(steps) > 1 else "the beginning"
        why = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"[:160]
        return UserError(f"checkpoint {path} is damaged ({why}): delete that folder to go on from {earlier}")


def load_params(workdir, like=None):
    """(params, meta) of a run's newest checkpoint. `like`: params of the same structure (arrays or ShapeDtypeStructs);
    without it, a flat dict name -> array. meta: what `fit(meta=)` was given, and the step.
    """
    checkpoints = Checkpoints(workdir)
    if not _steps(checkpoints.folder):
        raise UserError(f"no checkpoint in {checkpoints.folder}: train that run first, or name another folder")
    with Checkpoints(workdir, keep=None) as checkpoints:  # only reads: keeps what is there
        flat, _, meta = checkpoints.read()
        where = f"{checkpoints.folder / str(meta['step'])} is of another model"
    params = flat["params"] if like is None else _unnamed(like, flat["params"], where, "params")
    return jax.tree.map(jnp.asarray, params), meta["extra"] | {"step": meta["step"]}


def _steps(folder):
    return sorted(int(p.name) for p in folder.glob("*") if p.name.isdigit())


def _sums(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != SUMS)
    return {str(p.relative_to(folder)): zlib.crc32(p.read_bytes()) for p in files}


def _verify(folder):
    """ValueError if a file is not as it was saved. A kill just after a save leaves no sums, and nothing to verify."""
    if not (folder / SUMS).exists():
        return
    want, found = json.loads((folder / SUMS).read_text()), _sums(folder)
    if bad := [name for name in sorted({*want, *found}) if want.get(name) != found.get(name)]:
        raise ValueError(f"{bad[0]} is not what was saved")


def _named(tree):
    """{leaf name: numpy copy}; typed PRNG keys as their uint32 words."""
    out = {}
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        words = jax.random.key_data(x) if _is_key(x) else x
        out[_name(path)] = np.array(words)
    return out


def _unnamed(like, flat, where, part):
    """The inverse of _named, after a check of names, shapes and dtypes against `like`."""
    want = jax.tree_util.tree_leaves_with_path(like)
    names = [_name(path) for path, _ in want]
    for name in [*names, *(n for n in flat if n not in names)]:
        mine = dict(zip(names, (_describe(x) for _, x in want), strict=True)).get(name, "absent")
        theirs = _describe(flat[name]) if name in flat else "absent"
        if mine != theirs:
            raise UserError(f"{where}: {part}/{name} is {theirs} there, {mine} here")
    leaves = [
        jax.random.wrap_key_data(flat[n], impl=jax.random.key_impl(x)) if _is_key(x) else flat[n]
        for n, (_, x) in zip(names, want, strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _name(path):
    return jax.tree_util.keystr(path, simple=True, separator="/") or "value"


def _is_key(x):
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def _describe(x):
    x = jax.eval_shape(jax.random.key_data, x) if _is_key(x) else x
    return f"{x.dtype}{list(x.shape)}"


def _leaves(flat):
    return {part: {k: [str(x.dtype), list(x.shape)] for k, x in named.items()} for part, named in flat.items()}
