"""The figures of the README's table, run in full: `make test-slow` (an hour and more on 2 CPU cores)."""

import json
import os
import subprocess
import sys
import timeit

import jax
import jax.numpy as jnp
import pytest

from rnn_jax import cells, decoding
from rnn_jax.data import words
from rnn_jax.models.seq2seq import Seq2Seq

pytestmark = pytest.mark.slow
CHAR_RNN = ("--config=configs/char_lm/char_rnn.py",)


def results(study, workdir, *argv, **env):
    """results.json of a real run of a study."""
    command = [sys.executable, "-m", f"experiments.{study}", f"--workdir={workdir}", *argv]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | env)
    assert done.returncode == 0, done.stderr
    return json.loads((workdir / "results.json").read_text())


def test_the_default_run(tmp_path):
    found = results("char_lm", tmp_path / "rnn")
    assert found["valid_bits_per_char"] < 2.2
    window = results("char_lm", tmp_path / "window", "--config.model=window_mlp")
    average = results("char_lm", tmp_path / "average", "--config.model=average")
    assert found["valid_loss"] < window["valid_loss"] < average["valid_loss"]


def test_char_rnn_on_its_own_split(tmp_path, data_root):
    found = results("char_lm", tmp_path / "w", *CHAR_RNN, RNN_JAX_DATA=str(data_root))
    assert found["valid_loss_epoch_7"] <= 1.50 and found["valid_loss_epoch_11"] <= 1.44


def test_char_rnn_on_the_last_tenth(tmp_path, data_root):
    argv = (*CHAR_RNN, "--config.data.split=nanogpt", "--config.steps=7")
    assert results("char_lm", tmp_path / "w", *argv, RNN_JAX_DATA=str(data_root))["valid_loss_epoch_7"] <= 1.64


@pytest.mark.parametrize("config", ["default", "lengths", "variants", "attention", "ways"])
def test_nothing_is_slower_than_plain_autodiff(tmp_path, config):
    argv = (f"--config=configs/speed/{config}.py", "--config.contenders=ours,reference")
    found = results("speed", tmp_path / "w", *argv)
    over = {name: value for name, value in found.items() if "reference_over_ours" in name}
    assert over and {name: value for name, value in over.items() if value < 1 / 1.05} == {}


def test_deferred_against_plain_autodiff(tmp_path):
    argv = ("--config.contenders=ours,reference,deferred", "--config.passes=fwdbwd", "--config.repeats=5")
    shapes = "64x256x256x512,32x100x64x128,20x200x6x50"
    found = results("speed", tmp_path / "w", *argv, f"--config.shapes={shapes}")
    found |= results("speed", tmp_path / "large", *argv, "--config.shapes=16x1024x768x768", "--config.only=lstm")
    row = lambda cell, shape: f"over_ours/{cell}/{shape}/fwdbwd/float32"
    over = lambda *at: found[f"deferred_{row(*at)}"] / found[f"reference_{row(*at)}"]
    for shape in shapes.split(","):
        for cell in ("lstm", "gru", "vanilla"):
            assert over(cell, shape) <= 1.2
    assert over("lstm", "16x1024x768x768") <= 1 / 1.4


def test_gradient_flow(tmp_path):
    found = results("gradient_flow", tmp_path / "w")
    assert found["log10_slope_error_max"] <= 0.002 and found["immediate_partials_error_max"] <= 1e-10
    assert -61 < found["log10_norm_rho0.5_lag200"] < -59
    assert found["accuracy_clipping/by norm 1"] > 0.9 > found["accuracy_clipping/unclipped"]


def test_temporal_order_of_length_50(tmp_path):
    found = results("temporal_order", tmp_path / "w", "--config.lengths=(20, 50)")
    for t in (20, 50):
        rates = [found[f"success_{method}_{t}"] for method in ("cr", "c", "sgd")]
        assert rates[0] >= 0.8 and rates[0] >= rates[1] - 0.2 >= rates[2] - 0.4  # within one seed each
    assert found["success_sgd_50"] <= 0.2


def test_truncated_gradients(tmp_path):
    found = results("truncation", tmp_path / "w")
    assert found["equals_full_bptt_error"] <= 1e-12
    for kind in ("chunks", "windows", "last"):
        means = {k: sum(found[f"accuracy_{kind}_{k}"]) / found["seeds"] for k in (4, 8, 16, 20, 40)}
        assert max(means[k] for k in (4, 8, 16)) < 0.9 < min(means[20], means[40])


def test_twenty_networks_in_one_program(tmp_path):
    found = results("speed", tmp_path / "w", "--config=configs/speed/seeds.py")
    for shape in ("20x50x6x50", "20x200x6x50"):
        assert found[f"seeds_over_one/vanilla/{shape}"] <= 12 and found[f"seeds_over_in_turn/vanilla/{shape}"] < 1


def toy(tmp_path, name, *argv, **env):
    return results("toy", tmp_path / "w", f"--config=configs/toy/{name}.py", *argv, **env)


@pytest.mark.parametrize(("name", "sequences"), [("adding", 3 * 74_000), ("temporal_order", 3 * 31_390)])
def test_the_tasks_of_1997(tmp_path, name, sequences):
    found = toy(tmp_path, f"{name}_hochreiter")
    assert found["success_rate"] >= 0.75 and found["wrong"] <= 3 and found["sequences"] <= sequences


@pytest.mark.parametrize(("t", "baseline"), [(100, 0.1733), (200, 0.0945)])
def test_copy_memory(tmp_path, t, baseline):
    lstm = toy(tmp_path / "lstm", "copy_urnn", f"--config.sizes.t={t}")
    assert abs(lstm["error"] / baseline - 1) < 0.05 and abs(lstm["baseline"] - baseline) < 1e-4
    assert toy(tmp_path / "orthogonal", "copy_scornn", f"--config.sizes.t={t}")["error"] < 0.01


def test_adding_of_le(tmp_path):
    assert toy(tmp_path / "irnn", "adding_irnn")["error"] < 0.01
    argv = ("--config.cell=vanilla", "--config.sizes.t=300", "--config.steps=30000")
    assert toy(tmp_path / "tanh", "adding_irnn", *argv)["error"] >= 0.15


def test_parity_at_256_bits(tmp_path):
    found = toy(tmp_path, "parity_xlstm")
    assert found["success_rate"] == 1.0 and found["wrong_256"] == 0


def test_spoken_digits(tmp_path, data_root):
    found = results("speech", tmp_path / "w", "--config=configs/speech/fsdd.py", RNN_JAX_DATA=str(data_root))
    assert found["label_error_rate"] <= 0.03


def test_a_beam_of_five_over_a_hundred_sentences():
    """30 words each, a vocabulary of 6,000, width 256: under 3 s on two cores, once compiled."""
    model = Seq2Seq(cells.gru(), 6000, sources=6000, d=256, embed=128)
    params = model.init(jax.random.key(0))
    params["bo"] = params["bo"].at[words.END].set(-1e9)  # none ends early
    source = jax.random.randint(jax.random.key(1), (30, 100), 4, 6000)

    @jax.jit
    def decode(params, source):
        given, carry = model.begin(params, model.encode(params, source, jnp.ones_like(source)))
        carry, logits = model.step(given, carry, jnp.full(100, words.START))
        return decoding.beam_search(model.step, given, carry, logits, 30, beams=5, end=words.END)

    run = lambda: jax.block_until_ready(decode(params, source))
    assert run().lengths.min() == 30
    seconds = min(timeit.repeat(run, number=1, repeat=3))
    print(f"beam search: {seconds:.2f} s")
    assert seconds < 3


def test_tags_need_memory_and_what_follows(tmp_path):
    rnn = ("--config.cell=vanilla", "--config.bidirectional=False")
    runs = {"mlp": ("--config.model=mlp", "--config.reach=(2,2)"), "rnn": rnn, "birnn": rnn[:1], "bilstm": ()}
    f1 = {name: results("tagging", tmp_path / name, *argv)["f1"] for name, argv in runs.items()}
    assert f1["mlp"] < f1["rnn"] - 1 < f1["birnn"] - 2 and f1["bilstm"] >= 99.5


def test_chunks_of_conll2000(tmp_path, data_root):
    found = results("tagging", tmp_path / "w", "--config=configs/tagging/conll2000.py", RNN_JAX_DATA=str(data_root))
    assert found["f1"] >= 92 and found["padding_waste"] < 0.1


def test_parts_of_speech_of_conll2000(tmp_path, data_root):
    """Two words on either side of each, all that stand before it, all of the sentence; and tanh, reading each alone."""
    forward, alone = "--config.bidirectional=False", ("--config.cell=vanilla", "--config.reach=(0,0)")
    runs = {
        "mlp": ("--config.model=mlp",), "rnn": (forward,), "birnn": (),
        "mlp_alone": ("--config.model=mlp", *alone), "rnn_alone": (forward, *alone), "birnn_alone": alone,
    }  # fmt: skip
    argv, env = ("--config=configs/tagging/pos.py",), {"RNN_JAX_DATA": str(data_root)}
    right = {k: results("tagging", tmp_path / k, *argv, *v, **env)["accuracy"] for k, v in runs.items()}
    assert right["mlp"] < right["rnn"] < right["birnn"]
    assert right["mlp_alone"] < right["rnn_alone"] < right["birnn_alone"] < right["birnn"]


@pytest.mark.parametrize(("run", "least"), [("sst2", 0.82), ("trec", 0.91)])
def test_labels_of_sentences(tmp_path, data_root, run, least):
    argv = (f"--config=configs/classification/{run}.py",)
    found = results("classification", tmp_path / "w", *argv, RNN_JAX_DATA=str(data_root))
    assert found["accuracy"] >= least and found["padding_waste"] < 0.1


def test_attention_translates_multi30k(tmp_path, data_root):
    """At a width of 256, on 2 CPU cores, half an hour: at least 6 BLEU over its twin without attention."""
    argv, env = ("--config=configs/translation/multi30k_256.py",), {"RNN_JAX_DATA": str(data_root)}
    found = results("translation", tmp_path / "attention", *argv, **env)
    twin = results("translation", tmp_path / "twin", *argv, "--config.inform=state", **env)
    assert found["bleu"] >= 32 and found["bleu"] >= twin["bleu"] + 6 and found["padding_waste"] < 0.1


def test_captions_of_shapes(tmp_path):
    """Of combinations that training never had; without pictures, or with those of others, next to nothing."""
    found = results("captioning", tmp_path / "w")
    assert found["exact"] >= 0.95 and max(found["no_image_bleu4"], found["shuffled_image_bleu4"]) < 25


def test_labels_need_the_order_of_words(tmp_path):
    assert results("classification", tmp_path / "rnn")["accuracy"] >= 0.98
    average = ("--config.model=mlp", "--config.pool=mean")
    assert results("classification", tmp_path / "mlp", *average)["accuracy"] < 0.6
