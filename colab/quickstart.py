# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # rnn_jax in five minutes
#
# A recurrent cell is one pure function `step(params, carry, x) -> (carry, h)`. You write the equation; fast training,
# masks and gradients at every time step work on it. This notebook writes a cell, checks it, trains it as a language
# model of Python's standard library, and lets it write. No data set is fetched. It runs on a TPU, a GPU or a CPU.

# %% [markdown]
# ## Install
#
# Skipped where rnn_jax is there already. The versions of JAX and Flax that this machine came with are kept: they fit
# its accelerator.

# %%
import importlib.util
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

if importlib.util.find_spec("rnn_jax") is None:
    repository = input("address of the rnn_jax repository (git+https://... or a folder): ")
    keep = {d.name: d.version for d in distributions() if d.name.lower().startswith(("jax", "flax", "libtpu"))}
    Path("constraints.txt").write_text("".join(f"{name}=={version}\n" for name, version in keep.items()))
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "-c", "constraints.txt", repository], check=True)
    importlib.invalidate_caches()

# %%
import tempfile

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
from flax import nnx
from IPython.display import Image
from jax.nn import sigmoid
from ml_collections import ConfigDict

import rnn_jax
from rnn_jax import data, decoding, plots, train
from rnn_jax.cells import Cell, initializers, name
from rnn_jax.models.language import RecurrentLM, cross_entropy
from rnn_jax.models.sequence import SequenceModel
from rnn_jax.nn import functional
from rnn_jax.tasks import scoring
from rnn_jax.tasks.arrangements import EXAMPLES

print(f"jax {jax.__version__} on {jax.device_count()} x {jax.devices()[0].device_kind}")

# %% [markdown]
# Sizes, small enough for two CPU cores; on a TPU or a GPU, try `WIDTH = 512` and more steps.

# %% tags=["parameters"]
STEPS = 600  # updates
WIDTH = 128  # units
BATCH = 32  # streams of text read side by side
WINDOW = 64  # characters of truncated BPTT
HELD_OUT = 512  # characters of each of BATCH streams to measure on
LENGTH = 400  # characters to write
REACH = 100  # characters over which to follow a gradient
EXAMPLE_STEPS = 400  # updates of each of five small examples

# %% [markdown]
# ## A cell
#
# The minimal gated unit (Zhou et al., 2016), a GRU with a single gate:
#
# $$f_t = \sigma(W_f^T x_t + U_f^T h_{t-1} + b_f), \quad
# g_t = \tanh(W_g^T x_t + U_g^T (f_t \odot h_{t-1}) + b_g), \quad
# h_t = (1 - f_t) \odot h_{t-1} + f_t \odot g_t$$
#
# `name` marks a value that you may ask for later. It costs nothing until you do.


# %%
def step(params, h, x):  # h [b d], x [b n]
    f = sigmoid(x @ params["wf"] + h @ params["uf"] + params["bf"])
    g = jnp.tanh(x @ params["wg"] + (f * h) @ params["ug"] + params["bg"])
    h = name((1 - f) * h + f * g, "h")
    return h, h


# %% [markdown]
# A `Cell` is this function with its initial parameters and its zero state.


# %%
def init(key, n, d, dtype=jnp.float32):
    keys = jax.random.split(key, 4)
    w, u, b = initializers.glorot(), initializers.orthogonal(), jnp.zeros((d,), dtype)
    weights = {"wf": w(keys[0], (n, d), dtype), "uf": u(keys[1], (d, d), dtype)}
    return weights | {"wg": w(keys[2], (n, d), dtype), "ug": u(keys[3], (d, d), dtype), "bf": b, "bg": b}


mgu = Cell(init, lambda b, d, dtype=jnp.float32: jnp.zeros((b, d), dtype), step)

# %% [markdown]
# What does the engine make of it? Products with `x` leave the loop and are computed for all steps at once; each weight
# gradient is one product after the loop.

# %%
params = mgu.init(jax.random.key(0), 16, WIDTH)
print(rnn_jax.explain(step, params, mgu.carry(BATCH, WIDTH), jnp.ones((WINDOW, BATCH, 16))))

# %% [markdown]
# Are its gradients right? `check` compares every method with plain autodiff, and that with central differences, in
# float64 and at a small size. It runs on the CPU, for want of exact float64 elsewhere.

# %%
with jax.default_device(jax.local_devices(backend="cpu")[0]):
    xs = jax.random.normal(jax.random.key(1), (5, 2, 3))
    print(rnn_jax.check(step, mgu.init(jax.random.key(0), 3, 4), mgu.carry(2, 4), xs))

# %% [markdown]
# ## Text
#
# The source of the standard library, some whole files held out. `windows` cuts the text into `BATCH` streams
# that are read side by side; the state is carried from one window to the next.

# %%
config = data.defaults()
text = data.load(config)
batches = iter(data.windows(text.train, BATCH, WINDOW, resets=config.resets))
held_out = next(iter(data.windows(text.valid, BATCH, HELD_OUT, epochs=1)))
print(text.report)

# %% [markdown]
# ## Training
#
# `RecurrentLM` is `rnn_jax.nn.Recurrent`, the layer of any cell, and a linear read-out; both are Flax NNX modules.
# `train.fit` takes functions of the parameters, and `functional` makes the model one.

# %%
model = RecurrentLM(mgu, len(text.vocabulary), WIDTH, rngs=nnx.Rngs(0))
untrained, rebuild = functional(model)
start = model.initial_carry(BATCH)


def loss(params, carry, batch, key):  # the key is for models with noise
    inputs, targets, resets = (batch[k].T for k in ("inputs", "targets", "resets"))  # [t b]
    carry, logits = rebuild(params)(inputs, carry, resets)
    return cross_entropy(logits, targets).mean(), (carry, {})


evaluate = jax.jit(lambda params: {"valid_loss": loss(params, start, held_out, None)[0]})

# %%
options = ConfigDict(
    {
        "seed": 0, "steps": STEPS, "log_every": max(1, STEPS // 20), "eval_every": max(1, STEPS // 5), "save_every": 0,
        "keep": 1, "parallel": "auto", "init_from": "",
        "optimizer": {
            "name": "adam", "rate": 4e-3, "b1": 0.9, "b2": 0.99, "eps": 1e-8, "schedule": "cosine", "warmup": 20,
            "final_rate": 2e-4, "clip": "norm", "threshold": 1.0,
        },
    }
)  # fmt: skip
workdir = Path(tempfile.mkdtemp())
result = train.fit(
    options, workdir, params=untrained, loss=loss, carry=start, batches=batches, evaluate=evaluate,
    meta={"vocabulary": text.vocabulary.to_json()},
)  # fmt: skip

# %%
Image(str(plots.loss_curve(workdir, workdir / "loss.png", unit="nats per character")), width=600)

# %% [markdown]
# A model that knows nothing but the number of symbols has the loss ln v, for about 100 symbols 4.6.
#
# ## Writing
#
# The state after a prompt and the scores of the next character; `sample` draws from them and feeds each character back.


# %%
def next_scores(params, carry, tokens):  # tokens [b]
    carry, logits = rebuild(params)(tokens[None], carry)
    return carry, logits[0]


PROMPT = "def "
carry, logits = rebuild(result.params)(jnp.asarray(text.vocabulary.encode(PROMPT))[:, None])
written = decoding.sample(next_scores, result.params, carry, logits[-1], LENGTH, jax.random.key(0), temperature=0.6)
print(PROMPT + text.vocabulary.decode(written.tokens[:, 0]))

# %% [markdown]
# ## How far back does a gradient reach?
#
# A tap is a zero that is added to a named value, so its gradient is the gradient with respect to that value: here
# dL/dh_t at every t, of the loss of the last character alone.

# %%
line = jnp.asarray(text.valid.tokens[: REACH + 1])


def last_loss(taps, params):
    xs = jax.nn.one_hot(line[:-1], len(text.vocabulary))[:, None]  # [t 1 v]
    _, h = rnn_jax.scan(step, params["rnn"]["layers"][0]["params"], mgu.carry(1, WIDTH), xs, taps={"h": taps})
    return cross_entropy(h[-1] @ params["head"]["kernel"] + params["head"]["bias"], line[-1:])[0]


figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for label, params in {"untrained": untrained, "trained": result.params}.items():
    gradient = jax.grad(last_loss)(jnp.zeros((REACH, 1, WIDTH)), params)  # [t 1 d]
    axes.semilogy(jnp.arange(REACH) - REACH + 1, jnp.linalg.norm(gradient[:, 0], axis=-1), label=label)
axes.set(xlabel="t (characters before the last)", ylabel="|dL / dh_t|")
axes.legend()
plt.show()

# %% [markdown]
# ## Five arrangements
#
# The same layer serves every arrangement of inputs and outputs: which steps are read, and which are scored. A mask
# [t b] says the latter; the loss is a mean over it. Each example below is generated on the device, inside the step.


# %%
def arranged(batch):
    inputs, targets, mask = batch(jax.random.key(0), 512)
    untrained, rebuild = functional(SequenceModel(mgu, inputs.shape[-1], 32, int(targets.max()) + 1, rngs=nnx.Rngs(0)))

    def loss(params, carry, nothing, key):
        inputs, targets, mask = batch(key, 32)
        return scoring.loss(rebuild(params)(inputs)[1], targets, mask), (carry, {})

    fitted = train.fit(examples, Path(tempfile.mkdtemp()), params=untrained, loss=loss)
    return jnp.any(mask, axis=1), 1 - scoring.mistakes(rebuild(fitted.params)(inputs)[1], targets, mask)


# %%
examples = ConfigDict(options.to_dict() | {"steps": EXAMPLE_STEPS, "log_every": EXAMPLE_STEPS, "eval_every": 0})
for kind, batch in EXAMPLES.items():
    scored, right = arranged(batch)
    print(f"{kind:24} scored at steps {jnp.flatnonzero(scored)} of {len(scored)}: {right:.0%} right")

# %% [markdown]
# ## From here
#
# - Change `step` and run on. `rnn_jax.cells` has the LSTM, the GRU and others to start from.
# - `rnn_jax.scan(..., collect=("h",))` returns a named value at every step. Masks: `lengths`, `resets`.
# - `rnn_jax.tasks` generates long-lag tasks: adding, copy memory, temporal order, parity, ...
# - From a checkout: `python -m experiments.char_lm --help`, `python -m experiments.toy --help`.
