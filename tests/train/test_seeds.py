"""Several models in one program, probes that change nothing, a gradient of one's own, an early end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from rnn_jax import train

pytestmark = pytest.mark.usefixtures("quick_compilation")
SGD = dict(name="sgd", rate=0.1, schedule="constant", clip="norm", threshold=0.5)
ADAM = dict(name="adam", rate=0.05, b1=0.9, b2=0.99, eps=1e-8, schedule="constant", clip="none")


def config(**changes):
    base = dict(seed=3, steps=12, log_every=4, eval_every=4, save_every=0, keep=1, parallel="auto", init_from="")
    return ConfigDict(base | {"optimizer": SGD} | changes)


def loss(params, carry, batch, key):
    """Draws its data from the key, and keeps a state."""
    del batch
    x = jax.random.normal(key, (8, 3))
    y = jnp.tanh(x @ params["w"] + carry)
    return 10 * jnp.mean((y - x[:, :1]) ** 2), (0.5 * y, {"size": jnp.sum(params["w"] ** 2)})


def run(workdir, *, seeds=0, start=1.0, **changes):
    names = ("probes", "probe_every", "until", "evaluate", "gradient", "loss")
    extra = {k: changes.pop(k) for k in names if k in changes}
    shape = (seeds,) if seeds else ()
    params, carry = {"w": jnp.full((*shape, 3, 1), start)}, jnp.zeros((*shape, 8, 1))
    extra = extra if "gradient" in extra else {"loss": loss} | extra
    batches = train.generate(lambda i: {})
    return train.fit(config(**changes), workdir, params=params, carry=carry, seeds=seeds, batches=batches, **extra)


def numbers(workdir):
    return [{k: v for k, v in row.items() if k not in train.log.TIMES} for row in train.read_rows(workdir)]


@pytest.mark.parametrize("optimizer", [SGD, ADAM], ids=["sgd clipped by norm", "adam"])
def test_each_seed_trains_as_a_run_of_its_own(tmp_path, optimizer):
    together = run(tmp_path / "s", seeds=3, optimizer=optimizer)
    rows = numbers(tmp_path / "s")
    for i in range(3):
        alone = run(tmp_path / str(i), seed=3 + i, optimizer=optimizer)
        np.testing.assert_allclose(together.params["w"][i], alone.params["w"], rtol=1e-5)
        for row, own in zip(rows, numbers(tmp_path / str(i)), strict=True):
            for k in ("train_loss", "grad_norm", "size"):
                np.testing.assert_allclose(row[k][i], own[k], rtol=1e-5)
    assert not np.allclose(together.params["w"][0], together.params["w"][1])
    assert np.shape(together.metrics["train_loss"]) == (3,)


def test_seeds_resume_to_the_bit(tmp_path):
    whole = run(tmp_path / "whole", seeds=2, log_every=5)
    stop = lambda params, carry, batch, key: (_ for _ in ()).throw(RuntimeError("killed"))
    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path / "cut", seeds=2, log_every=5, save_every=3, probes=(stop,), probe_every=8)
    again = run(tmp_path / "cut", seeds=2, log_every=5, save_every=3)
    np.testing.assert_array_equal(again.params["w"], whole.params["w"])
    assert numbers(tmp_path / "cut") == numbers(tmp_path / "whole")


def test_a_seed_that_diverges_leaves_the_others_alone(tmp_path):
    def gradient(params, carry, batch, key):
        (value, aux), grads = jax.value_and_grad(loss, has_aux=True)(params, carry, batch, key)
        broken = params["w"][0, 0] > 5  # the model that starts there
        return (jnp.where(broken, jnp.nan, value), aux), grads

    fine = run(tmp_path / "fine", seeds=2)
    start = jnp.array([1.0, 9.0])[:, None, None] * jnp.ones((2, 3, 1))
    result = run(tmp_path / "bad", seeds=2, start=start, gradient=gradient)
    np.testing.assert_allclose(result.params["w"][0], fine.params["w"][0], rtol=1e-6)
    assert np.isnan(result.metrics["train_loss"][1]) and np.isfinite(result.metrics["train_loss"][0])
    with pytest.raises(train.NotFinite, match="step 1"):
        run(tmp_path / "all", seeds=2, start=9.0, gradient=gradient)


def test_probes_change_no_number(tmp_path, capsys):
    probe = lambda params, carry, batch, key: {"spread": jnp.ptp(params["w"]), "row": params["w"][:, 0]}
    run(tmp_path / "off")
    quiet = capsys.readouterr().out
    result = run(tmp_path / "on", probes=(probe,), probe_every=3)
    assert "probes took" in capsys.readouterr().out and "probes took" not in quiet
    on, off = numbers(tmp_path / "on"), numbers(tmp_path / "off")
    probed = [row["step"] for row in on if "spread" in row]
    assert probed == [3, 6, 9, 12] and all(np.shape(row["row"]) == (3,) for row in on if "row" in row)
    kept = [{k: v for k, v in row.items() if k not in ("spread", "row")} for row in on]
    assert [row for row in kept if len(row) > 1] == off  # to the bit
    times = [row["probe_seconds"] for row in train.read_rows(tmp_path / "on") if "spread" in row]
    np.testing.assert_allclose(result.metrics["probe_seconds"], sum(times), atol=2e-3)


def test_a_gradient_in_place_of_a_loss(tmp_path):
    def uphill(params, carry, batch, key):
        value, grads = jax.value_and_grad(loss, has_aux=True)(params, carry, batch, key)
        return value, jax.tree.map(jnp.negative, grads)

    down, up = run(tmp_path / "down"), run(tmp_path / "up", gradient=uphill)
    assert up.metrics["train_loss"] > down.metrics["train_loss"]


@pytest.mark.parametrize("save_every", [0, 4])
def test_until_ends_the_training_for_good(tmp_path, save_every):
    given = dict(evaluate=lambda p: {"valid_size": jnp.sum(p["w"] ** 2)}, eval_every=2, save_every=save_every)
    given["until"] = lambda rows: len([r for r in rows if "valid_size" in r]) >= 3
    result = run(tmp_path, **given)
    assert result.step == 6 and numbers(tmp_path)[-1]["step"] == 6
    again = run(tmp_path, **given)
    assert again.step == 6
    np.testing.assert_array_equal(again.params["w"], result.params["w"])
