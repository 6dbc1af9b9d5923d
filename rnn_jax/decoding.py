"""Decoding: the next token from the model's own last one, for any step (carry, tokens) -> (carry, logits)."""

import jax
import jax.numpy as jnp

from rnn_jax.scan import scan


def sample(step, params, carry, logits, length: int, key, *, temperature=1.0):
    """`length` tokens drawn from softmax(logits / temperature), each fed back: int [length b].

    step:         (params, carry, tokens int [b]) -> (carry, logits [b v])
    carry, logits the state, and the scores of the first token [b v], after the prompt
    temperature   0 takes the most likely token (greedy); 1 the model's own distribution
    """
    if temperature < 0:
        raise ValueError(f"sample: temperature is {temperature}; want 0 (greedy) or more")

    def one(params, state, key):
        carry, logits = state
        greedy = temperature == 0
        tokens = jnp.argmax(logits, -1) if greedy else jax.random.categorical(key, logits / temperature)
        carry, logits = step(params, carry, tokens)
        return (carry, logits), tokens

    return scan(one, params, (carry, logits), jax.random.split(key, length), method="reference")[1]
