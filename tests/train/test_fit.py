"""`fit` as a function: start from another run, what a checkpoint refuses, devices, late metrics."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from rnn_jax import train

pytestmark = pytest.mark.usefixtures("quick_compilation")


def config(**changes):
    sgd = dict(name="sgd", rate=0.1, schedule="constant", clip="none", threshold=0.0)
    base = dict(
        seed=0, steps=10, log_every=1, eval_every=0, save_every=0, keep=1, parallel="auto", init_from="", optimizer=sgd
    )
    return ConfigDict(base | changes)


def batch(i):
    return {"x": np.random.default_rng(i).normal(size=(8, 3)).astype(np.float32)}


def loss(params, carry, batch, key):
    del key
    y = batch["x"] @ params["w"] + carry
    return jnp.mean((y - jnp.sin(batch["x"][:, :1])) ** 2), (0.5 * y, {})


def run(workdir, width=1, **changes):
    extra = {k: changes.pop(k) for k in ("evaluate", "probes", "loss", "batches", "params") if k in changes}
    given = {"params": {"w": jnp.ones((3, width))}, "loss": loss, "batches": train.generate(batch)} | extra
    return train.fit(config(**changes), workdir, carry=jnp.zeros((8, width)), **given)


def test_against_a_loop_by_hand(tmp_path):
    w, carry, norms = jnp.ones((3, 1)), jnp.zeros((8, 1)), []
    for i in range(10):
        (_, (carry, _)), g = jax.value_and_grad(loss, has_aux=True)({"w": w}, carry, batch(i), None)
        norms.append(float(jnp.linalg.norm(g["w"])))
        w = w - 0.1 * g["w"]
    mine = jnp.ones((3, 1))
    result = run(tmp_path, params={"w": mine})
    np.testing.assert_allclose(result.params["w"], w, rtol=1e-5)
    np.testing.assert_allclose(result.carry, carry, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose([r["grad_norm"] for r in train.read_rows(tmp_path)], norms, rtol=1e-5)
    assert result.step == 10 and mine.sum() == 3  # the caller's array was not donated


def test_rows_are_means_and_none_is_lost(tmp_path):
    run(tmp_path / "each")
    run(tmp_path / "some", log_every=4, eval_every=6, evaluate=lambda p: {"valid_loss": jnp.sum(p["w"])})
    each = [row["train_loss"] for row in train.read_rows(tmp_path / "each")]
    rows = train.read_rows(tmp_path / "some")
    assert [row["step"] for row in rows] == [4, 6, 8, 10]
    assert "train_loss" not in rows[1] and "valid_loss" in rows[1] and "valid_loss" in rows[3]
    want = [np.mean(each[:4]), np.mean(each[4:8]), np.mean(each[8:])]
    np.testing.assert_allclose([r["train_loss"] for r in rows if "train_loss" in r], want, rtol=1e-6)


def test_probes_see_what_the_loss_saw(tmp_path):
    def probe(params, carry, batch, key):
        return {"probe": loss(params, carry, batch, key)[0]}

    run(tmp_path, eval_every=1, probes=(probe,))
    for row in train.read_rows(tmp_path):
        np.testing.assert_allclose(row["probe"], row["train_loss"], rtol=1e-5)


def test_init_from_takes_the_weights_alone(tmp_path):
    first = run(tmp_path / "a")
    again = run(tmp_path / "b", steps=0, init_from=str(tmp_path / "a"))
    assert again.step == 0 and again.metrics["seconds"] == 0
    np.testing.assert_array_equal(again.params["w"], first.params["w"])
    with pytest.raises(train.UserError, match=r"params/w is float32\[3, 1\] there, float32\[3, 2\] here"):
        run(tmp_path / "c", width=2, init_from=str(tmp_path / "a"))


def test_another_model_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(train.UserError, match=r"checkpoints/10 is of another model: params/w is"):
        run(tmp_path, width=2)
    with pytest.raises(train.UserError, match="opt_state"):
        run(tmp_path, optimizer=config().optimizer.to_dict() | {"name": "momentum", "momentum": 0.9})


def test_load_params(tmp_path):
    result = run(tmp_path)
    flat, meta = train.load_params(tmp_path)
    np.testing.assert_array_equal(flat["w"], result.params["w"])
    assert meta == {"step": 10}
    like = {"w": jax.ShapeDtypeStruct((3, 1), jnp.float32)}
    assert train.load_params(tmp_path, like)[0].keys() == {"w"}
    with pytest.raises(train.UserError, match="no checkpoint"):
        train.load_params(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_state_that_is_not_finite_is_never_saved(tmp_path):
    def trap(params, carry, batch, key):  # a finite loss whose gradient is not: sqrt at 0
        value, out = loss(params, carry, batch, key)
        return value + jnp.sqrt(jnp.sum(params["w"] - params["w"]) ** 2), out

    with pytest.raises(train.NotFinite, match="after step 1 the parameters are not finite"):
        run(tmp_path, loss=trap, save_every=1)
    with pytest.raises(train.NotFinite, match="step 2: the loss is nan"):
        run(tmp_path, loss=trap)
    assert not [p for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit()]


def test_data_that_end_and_a_carry_that_changes(tmp_path):
    class Short(train.generate):
        def __next__(self):
            if self.next == 3:
                raise StopIteration
            return super().__next__()

    with pytest.raises(train.UserError, match="the data ended before step 4 of 10"):
        run(tmp_path, batches=Short(batch))
    with pytest.raises(ValueError, match="given a carry of"):
        run(tmp_path, loss=lambda p, c, b, k: (loss(p, c, b, k)[0], (c[:2], {})))


DEVICES = """
import json, sys
sys.path.insert(0, sys.argv[1])
import jax
import test_fit
from rnn_jax import train
out = {"devices": jax.local_device_count()}
for parallel in ("auto", "pmap"):
    w = f"{sys.argv[2]}/{parallel}"
    result = test_fit.run(w, parallel=parallel, steps=6)
    result = test_fit.run(w, parallel=parallel, steps=10)
    out[parallel] = [result.params["w"].tolist(), result.carry.tolist(), [r["train_loss"] for r in train.read_rows(w)]]
step = train.loop.devices.layout("auto", 8)
out["count"] = [train.loop.devices.layout("auto", b).devices for b in (8, 6, 7)]
print(json.dumps(out))
"""


def test_four_devices_by_jit_and_by_pmap_equal_one(tmp_path):
    one = run(tmp_path / "one")
    env = os.environ | {"JAX_NUM_CPU_DEVICES": "4", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", DEVICES, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout.splitlines()[-1])
    assert got["devices"] == 4 and got["count"] == [4, 3, 1]
    losses = [row["train_loss"] for row in train.read_rows(tmp_path / "one")]
    for parallel in ("auto", "pmap"):
        w, carry, theirs = got[parallel]
        np.testing.assert_allclose(w, one.params["w"], rtol=1e-5)
        np.testing.assert_allclose(carry, one.carry, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(theirs, losses, rtol=1e-5)


def test_loss_curve(tmp_path):
    from rnn_jax.plots import loss_curve

    run(tmp_path, eval_every=5, evaluate=lambda p: {"valid_loss": jnp.sum(p["w"] ** 2)})
    assert loss_curve(tmp_path, tmp_path / "figures/loss.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match="no \\*loss"):
        loss_curve([{"step": 1}], tmp_path / "x.png")


def test_import_is_light():
    heavy = ("orbax", "grain", "tensorboardX", "rich", "matplotlib")
    code = f"import sys, rnn_jax, rnn_jax.train; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
