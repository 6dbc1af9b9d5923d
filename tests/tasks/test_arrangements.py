"""The five arrangements: what is read and scored when, and that one model with one loss learns each."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from rnn_jax import cells
from rnn_jax.models.sequence import SequenceModel
from rnn_jax.nn import functional
from rnn_jax.tasks import scoring
from rnn_jax.tasks.arrangements import EXAMPLES

pytestmark = pytest.mark.usefixtures("quick_compilation")

READ = {  # steps with an input, of how many; steps with an answer
    "one to one": ([0], 1, [0]),
    "one to many": ([0], 6, [0, 1, 2, 3, 4, 5]),
    "many to one": ([0, 1, 2, 3, 4, 5], 6, [5]),
    "many to many, aligned": ([0, 1, 2, 3, 4, 5], 6, [0, 1, 2, 3, 4, 5]),
    "many to many, delayed": ([0, 1, 2], 6, [3, 4, 5]),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_read_and_what_is_scored(name):
    inputs, targets, mask = EXAMPLES[name](jax.random.key(0), 64)
    read, t, scored = READ[name]
    assert inputs.shape[:2] == targets.shape == mask.shape == (t, 64)
    carries = np.asarray(inputs).std(axis=1).max(axis=-1) > 0  # what differs between rows tells something
    assert list(np.flatnonzero(carries)) == read
    assert list(np.flatnonzero(np.asarray(mask).any(axis=1))) == scored and (mask == mask[:, :1]).all()


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_is_learned(name):
    batch = EXAMPLES[name]
    inputs, targets, _ = batch(jax.random.key(0), 256)
    model = SequenceModel(cells.gru(), inputs.shape[-1], 24, int(targets.max()) + 1, rngs=nnx.Rngs(0))
    params, rebuild = functional(model)
    optimizer = optax.adam(1e-2)

    def loss(params, key):
        inputs, targets, mask = batch(key, 32)
        return scoring.loss(rebuild(params)(inputs)[1], targets, mask)

    def update(i, state):
        params, opt_state = state
        updates, opt_state = optimizer.update(jax.grad(loss)(params, jax.random.key(i)), opt_state)
        return optax.apply_updates(params, updates), opt_state

    train = jax.jit(lambda state: jax.lax.fori_loop(1, 500, update, state))
    params, _ = train((params, optimizer.init(params)))
    inputs, targets, mask = batch(jax.random.key(0), 256)
    assert scoring.mistakes(rebuild(params)(inputs)[1], targets, mask) <= 0.01


def test_a_causal_model_cannot_answer_before_it_has_read():
    """The output of a step has no gradient with respect to later inputs."""
    model = SequenceModel(cells.lstm(), 2, 8, 2, rngs=nnx.Rngs(0))
    xs = jnp.ones((6, 1, 2))
    reach = jax.jacrev(lambda xs: model(xs)[1][:, 0].sum(-1))(xs)[:, :, 0].any(-1)  # [t out, t in]
    np.testing.assert_array_equal(reach, np.tril(np.ones((6, 6), bool)))
