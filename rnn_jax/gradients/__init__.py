"""Probes of gradients through time, of any `carry, y = step(params, carry, x)`; none knows a cell or a model class."""

from rnn_jax.gradients.flow import hidden_gradients as hidden_gradients
from rnn_jax.gradients.flow import immediate_partials as immediate_partials
from rnn_jax.gradients.flow import influence as influence
from rnn_jax.gradients.gates import saturation as saturation
from rnn_jax.gradients.gates import traces as traces
from rnn_jax.gradients.jacobians import jacobian_product_log10norms as jacobian_product_log10norms
from rnn_jax.gradients.jacobians import jacobian_product_log10singular as jacobian_product_log10singular
from rnn_jax.gradients.jacobians import jacobians as jacobians
from rnn_jax.gradients.jacobians import lyapunov_spectrum as lyapunov_spectrum
from rnn_jax.gradients.omega import omega as omega
from rnn_jax.gradients.report import report as report
from rnn_jax.gradients.spectra import Spectrum as Spectrum
from rnn_jax.gradients.spectra import local_bound as local_bound
from rnn_jax.gradients.spectra import recurrent_matrices as recurrent_matrices
from rnn_jax.gradients.spectra import spectrum as spectrum
