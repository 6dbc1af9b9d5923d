"""Models built from the layers of `rnn_jax.nn`: what an experiment trains."""
