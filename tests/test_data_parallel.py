"""A data-parallel training step of an LSTM, compiled for 8 devices: one all-reduce of the gradients, none in a loop."""

import json
import os
import re
import subprocess
import sys
import textwrap

import pytest

SCRIPT = """
    import json, jax, jax.numpy as jnp
    from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
    from rnn_jax import cells, scan
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    rows, whole = NamedSharding(mesh, P(None, "data")), NamedSharding(mesh, P())
    cell = getattr(cells, CELL)()
    params = jax.device_put(cell.init(jax.random.key(0), 16, 32), whole)
    xs = jax.device_put(jax.random.normal(jax.random.key(1), (10, 32, 16)), rows)

    def update(params, xs, method):
        def loss(p):
            return jnp.mean(scan(cell.step, p, cell.carry(32, 32), xs, method=method)[1] ** 2)
        value, grads = jax.value_and_grad(loss)(params)
        return value, jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)

    out = {}
    for method in ("deferred", "reference"):
        f = jax.jit(update, static_argnums=2, out_shardings=whole)
        out[method] = f.lower(params, xs, method).compile().as_text()
    one = jax.jit(update, static_argnums=2)(*jax.device_put((params, xs), jax.devices()[0]), "reference")[1]
    new = f(params, xs, "deferred")[1]
    far = lambda a, b: max(jax.tree.leaves(jax.tree.map(lambda a, b: float(abs(a - b).max()), *jax.device_get((a, b)))))
    out["error"] = far(new, one)
    local = lambda p, x: jax.lax.pmean(jnp.mean(scan(cell.step, p, cell.carry(4, 32), x)[1] ** 2), "data")
    manual = jax.shard_map(jax.grad(local), mesh=mesh, in_specs=(P(), P(None, "data")), out_specs=P())
    grads = jax.grad(lambda p: jnp.mean(scan(cell.step, p, cell.carry(32, 32), xs, method="reference")[1] ** 2))(params)
    out["shard_map"] = far(jax.jit(manual)(params, xs), grads)
    for method in ("newton", "associative"):  # constants within them are to differ along the mesh as the state does
        linear = lambda p, h, x: ((h := 0.5 * h + jnp.mean(jax.tree.leaves(p)[0]) * x), h)
        step, begin = (cell.step, cell.carry) if method == "newton" else (linear, lambda b, d: jnp.zeros((b, 16)))
        sums = lambda p, x, m: jnp.mean(scan(step, p, begin(x.shape[1], 32), x, method=m)[1] ** 2)
        local = lambda p, x: jax.lax.pmean(sums(p, x, method), "data")
        manual = jax.shard_map(jax.grad(local), mesh=mesh, in_specs=(P(), P(None, "data")), out_specs=P())
        grads = jax.grad(sums)(params, xs, "reference")
        out[f"shard_map {method}"] = far(jax.jit(manual)(params, xs), grads)
    print(json.dumps(out))
"""


def all_reduces(hlo):
    """(those of gradients outside loops, those inside): an all-reduce of a scalar is the loss's."""
    bodies = set(re.findall(r"body=%?([\w.\-]+)", hlo))
    outside, inside = [], []
    for block in re.split(r"\n\n", hlo):
        head = re.match(r"\s*(?:ENTRY )?%?([\w.\-]+) ", block)
        for line in block.splitlines():
            if re.search(r"= .* all-reduce(-start)?\(", line):
                (inside if head and head[1] in bodies else outside).append(line.strip())
    grads = [line for line in outside if re.search(r"f32\[\d", line.split(" all-reduce")[0])]
    return grads, inside


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_one_all_reduce(cell):
    env = os.environ | {"JAX_NUM_CPU_DEVICES": "8", "JAX_PLATFORMS": "cpu"}
    script = textwrap.dedent(SCRIPT).replace("CELL", repr(cell))
    run = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    out = json.loads(run.stdout.splitlines()[-1])
    outside, inside = all_reduces(out["deferred"])
    assert len(outside) == 1 and not inside, (outside, inside)
    assert all_reduces(out["reference"])[1], "this test sees the all-reduces that plain autodiff leaves in the loop"
    errors = {key: value for key, value in out.items() if key.startswith(("error", "shard_map"))}
    assert len(errors) == 4 and max(errors.values()) < 1e-6, errors
