"""The temporal order study through its front door, at a small size, and the parts that its verdicts rest on."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from front_door import call, refused

from experiments import temporal_order
from rnn_jax import train

pytestmark = pytest.mark.usefixtures("quick_compilation")

SMALL = {"lengths": (10,), "width": 8, "seeds": 2, "batch": 4, "steps": 20, "log_every": 10, "eval_every": 10}


def run(workdir, capsys, *argv):
    return call(temporal_order, workdir, capsys, *argv, **SMALL, fresh=1000)


def test_results_hold_every_length_and_method(tmp_path, capsys):
    code, _, err = run(tmp_path, capsys)
    assert code == 0, err
    found = json.loads((tmp_path / "results.json").read_text())
    for t in SMALL["lengths"]:
        for method in ("sgd", "c", "cr"):
            assert found[f"success_{method}_{t}"] == 0.0 and found[f"updates_{method}_{t}"] == [None, None]
            assert np.shape(found[f"best_error_{method}_{t}"]) == (2,)
            rows = train.read_rows(tmp_path / f"{method}_{t}")
            assert ("omega" in rows[0]) == (method == "cr") and np.shape(rows[0]["valid_error"]) == (2,)
            assert json.loads((tmp_path / "config.json").read_text())["config"]["optimizer"]["clip"] == "norm"
    assert found["seeds"] == 2 and (tmp_path / "figures/success.png").stat().st_size > 10_000


@pytest.mark.parametrize("init", sorted(temporal_order.INITS))
def test_success_is_an_error_below_the_limit_and_ends_the_run(tmp_path, capsys, init):
    argv = ("--config.lengths=(10,)", "--config.methods=('c',)", "--config.success=0.99", f"--config.init={init}")
    assert run(tmp_path, capsys, *argv)[0] == 0
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["success_c_10"] == 1.0 and found["updates_c_10"] == [10, 10]
    assert [row["step"] for row in train.read_rows(tmp_path / "c_10")] == [10]


def test_a_gradient_that_is_not_to_be_trusted_only_shrinks_the_recurrent_matrix():
    params = {"wh": jnp.ones((2, 2)), "b": jnp.ones(2)}
    fine = {"wh": jnp.full((2, 2), 3.0), "b": jnp.zeros(2)}
    for bad in (jnp.nan, jnp.inf, 1e11):
        got = temporal_order.trusted(fine | {"b": jnp.array([bad, 0])}, params)
        np.testing.assert_allclose(got["wh"], 0.02)
        assert not got["b"].any()
    assert all(map(jnp.array_equal, jax.tree.leaves(temporal_order.trusted(fine, params)), jax.tree.leaves(fine)))


def test_the_initialisations():
    for name, scale in {"sigmoid": 0.01, "basic_tanh": 0.1}.items():
        params = temporal_order.init(jax.random.key(0), name, 50)
        assert abs(float(params["wh"].std()) / scale - 1) < 0.05
    wh = np.asarray(temporal_order.init(jax.random.key(0), "smart_tanh", 50)["wh"])
    assert ((wh != 0).sum(axis=1) == 15).all()
    np.testing.assert_allclose(np.abs(np.linalg.eigvals(wh)).max(), 0.95, rtol=1e-5)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.methods=('sgd', 'adam')", "'adam'): want some of sgd, c, cr"),
        ("--config.init=orthogonal", "want one of sigmoid, basic_tanh, smart_tanh"),
        ("--config.lengths=(9,)", "at least 10"),
        ("--config.fresh=1500", "a multiple of 1000"),
        ("--config.seeds=0", "config.seeds=0: want at least 1"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, capsys, flag, message):
    refused(temporal_order, tmp_path / "new", capsys, message, flag, **SMALL, fresh=1000)
