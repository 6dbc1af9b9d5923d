"""Speed of one recurrent layer: ours under each method, and the same layer in other libraries, side by side.

All contenders of a shape run in turn in one process, the forward pass and the gradient apart: medians, minima, and
ratios of neighbours. Libraries that are not installed (`pip install .[bench]`) are listed as absent.

Cells are those of rnn_jax.cells, and some that are not (rnn_jax/benchmarks/variants.py), for our own methods.

results.json: <contender>_ms/<cell>/<b>x<t>x<n>x<d>/<fwd|fwdbwd>/<dtype> (median), <contender>_min_ms/..., _bytes/...
(of the compiled program, beside its arguments), _compile_ms/..., <contender>_over_ours/... (the median ratio of
neighbours: above 1 it is slower than "auto"); flax is the better of its four. peak_gflops, which this machine's matrix
product reaches, and share_of_peak/<cell>/<shape> of ours, forward and backward in float32. absent, device.

For config.seeds tanh networks in one vmapped program under "auto": seeds_over_one/vanilla/<shape>, over the time of one
under "reference", and seeds_over_in_turn/vanilla/<shape>, over that of as many runs in turn under "auto".
For config.tasks, a training step of `experiments.toy` with its batch made inside: data_over_step/<cell>/<task>, over
the time of the step on a batch made before; task_seeds_over_in_turn/<cell>/<task>, config.seeds of them in one program
over as many in turn.
For config.attention_shapes, the gradient of a GRU that reads s keys under additive attention at each of t steps:
attention_ms/<b>x<t>x<s>x<d> and attention_bytes/... under "auto", attention_reference_over_ours/... and
attention_reference_bytes/... under `lax.scan`, and so on as above.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from configs.toy import default as toy_default
from experiments import toy
from rnn_jax import attention, benchmarks, cells, plots, scan, tasks, train
from rnn_jax.benchmarks import Absent, Problem, variants
from rnn_jax.benchmarks.timing import layer_flops, ratio
from rnn_jax.tasks import scoring
from rnn_jax.train.devices import over_models


def main(config: Any, workdir):
    device = jax.devices()[0]
    out: dict[str, Any] = {"device": f"{jax.device_count()} x {device.device_kind} ({device.platform})"}
    names = split(config.cells)
    names = [name for name in names if name in split(config.only)] if config.only else names
    if split(config.shapes):
        out |= layers(config, names, workdir)
    for shape in split(config.seed_shapes):
        times = measure_seeds(cells.vanilla(), parse(shape), config)
        over = {k: ratio(times, "many", k) for k in ("one", "in turn")}
        out |= {f"seeds_over_{k.replace(' ', '_')}/vanilla/{shape}": round(v, 3) for k, v in over.items()}
        shown = f"{over['one']:.1f} x one under reference, {over['in turn']:.2f} x {config.seeds} in turn"
        print(f"{config.seeds} networks of vanilla {shape} in one vmapped program: {shown}", flush=True)
    for shape in split(config.attention_shapes):
        figures = measure_attention(parse(shape, "attention_shapes"), config)
        out |= {f"attention_{key}/{shape}": value for key, value in figures.items()}
        print(
            f"a GRU under additive attention, {shape}: {figures['ms']:.1f} ms, reference "
            f"{figures['reference_over_ours']:.2f} x ours; {figures['bytes'] / 2**20:.1f} MiB, reference "
            f"{figures['reference_bytes'] / 2**20:.1f}",
            flush=True,
        )
    for task in split(config.tasks):
        for name in names:
            times = measure_task(task, name, config)
            data, seeds = ratio(times, "step with data", "step"), ratio(times, "many", "in turn")
            out |= {f"data_over_step/{name}/{task}": data, f"task_seeds_over_in_turn/{name}/{task}": seeds}
            shown = f"{data:.3f} x the step alone; {config.seeds} networks at once {seeds:.2f} x as many in turn"
            print(f"{name} on {task}, step with data: {shown}", flush=True)
    return out


def layers(config, names, workdir):
    """Every contender at every shape: the table, its numbers and its picture."""
    peak = benchmarks.gemm_peak()
    out: dict[str, Any] = {"peak_gflops": round(peak, 1), "absent": {}}
    print(f"matrix products reach {peak:.0f} GFLOP/s here in float32", flush=True)
    drawn: dict[tuple[str, str], dict[str, list[Any]]] = {}
    for dtype in split(config.dtypes):
        for shape in split(config.shapes):
            for cell in names:
                passes = tuple(split(config.passes))
                problem = Problem(cell, parse(shape), dtype, config.seed, passes, config.shortest)
                built = contenders(config, problem, out["absent"])
                for each in passes:
                    row = f"{cell}/{shape}/{each}/{dtype}"
                    calls = {name: getattr(calls, each) for name, calls in built.items()}
                    times = benchmarks.alternate(calls, config.repeats, config.seconds_per_shape)
                    figures = describe(times, built, each)
                    out |= {f"{key}/{row}": value for key, value in figures.items()}
                    flops = layer_flops(variants.named(cell), parse(shape), each == "fwdbwd")
                    for name in times:
                        point = parse(shape), flops / 1e9, figures[f"{name}_ms"]
                        drawn.setdefault((cell, each), {}).setdefault(name, []).append(point)
                    if "ours" in times and each == "fwdbwd" and dtype == "float32":
                        share = flops / (1e6 * figures["ours_ms"]) / peak
                        out[f"share_of_peak/{cell}/{shape}"] = float(f"{share:.3g}")
                    print(table(row, times, figures), flush=True)
    for name, why in out["absent"].items():
        print(f"absent: {name}: {why}", flush=True)
    picture(drawn, peak, workdir / "figures" / "speed.png")
    return out


def contenders(config, problem, absent):
    """name -> its calls; those that cannot take part go to `absent`."""
    built = {}
    for name in split(config.contenders):
        try:
            built[name] = benchmarks.build(name, problem)
        except Absent as why:
            key = name if "not installed" in str(why) else f"{name} {problem.cell}"
            absent[key] = str(why)
    return built


def describe(times, built, each):
    """The numbers of one row: median and least ms, bytes, ms to compile, and how much slower than ours."""
    out: dict[str, Any] = {}
    for name, seconds in times.items():
        out |= {f"{name}_ms": 1e3 * float(np.median(seconds)), f"{name}_min_ms": 1e3 * min(seconds)}
        if built[name].bytes:
            out |= {f"{name}_bytes": built[name].bytes[each], f"{name}_compile_ms": 1e3 * built[name].compile[each]}
        if "ours" in times and name != "ours":
            out[f"{name}_over_ours"] = ratio(times, name, "ours")
    if flax := [name for name in times if name.startswith("flax")]:
        best = min(flax, key=lambda name: out[f"{name}_ms"])
        kinds = ("ms", "min_ms", "bytes", "compile_ms", "over_ours")
        out |= {f"flax_{kind}": out[f"{best}_{kind}"] for kind in kinds if f"{best}_{kind}" in out}
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in out.items()}


def table(row, times, figures):
    lines = [row]
    for name, seconds in times.items():
        over = figures.get(f"{name}_over_ours")
        used, compiling = figures.get(f"{name}_bytes"), figures.get(f"{name}_compile_ms")
        lines.append(
            f"    {name:22} {figures[f'{name}_ms']:10.2f} ms   least {figures[f'{name}_min_ms']:10.2f}"
            + (f"   {over:6.2f} x ours" if over is not None else " " * 16)
            + (f"   {used / 2**20:9.1f} MiB, compiled in {compiling:6.0f} ms" if used is not None else " " * 40)
            + f"   of {len(seconds)}"
        )
    return "\n".join(lines)


def picture(drawn, peak, path):
    """Log-log, a panel a cell and pass: time over the size that varies (b, t, n or d), or where several do, over the
    work of the matrix products; there dashed: the machine's peak."""
    if not drawn:
        return
    rows = sorted({cell for cell, _ in drawn})
    columns = sorted({each for _, each in drawn})
    figure, grid = plots.panels(len(rows), len(columns), height=3.2 * len(rows), title="One recurrent layer")
    order = list(dict.fromkeys(name for lines in drawn.values() for name in lines))
    shapes = {shape for lines in drawn.values() for points in lines.values() for shape, _, _ in points}
    varied = [i for i, sizes in enumerate(zip(*shapes, strict=True)) if len(set(sizes)) > 1]
    for (cell, each), lines in drawn.items():
        axes = grid[rows.index(cell), columns.index(each)]
        for name, points in lines.items():
            x, y = zip(*sorted((s[varied[0]] if len(varied) == 1 else f, ms) for s, f, ms in points), strict=True)
            i = order.index(name)
            axes.plot(
                x, y, label=name, marker=plots.MARKERS[i % len(plots.MARKERS)], color=f"C{i}", linewidth=1,
                markersize=7 if name == "ours" else 4, zorder=3 if name == "ours" else 2,
            )  # fmt: skip
        axes.set(xscale="log", yscale="log")
        if len(varied) == 1:
            across = ("batch b", "steps t", "inputs n", "units d")[varied[0]]
        else:
            across, reach = "GFLOP of its products", np.array(axes.get_xlim())
            axes.plot(reach, 1e3 * reach / peak, "k--", linewidth=0.8, label="peak")
        axes.set(title=f"{cell}, {each}", xlabel=across, ylabel="ms")
        axes.tick_params(axis="x", which="minor", labelsize=5, labelrotation=30)  # within a decade they are many
    named = max(grid.flat, key=lambda axes: len(axes.lines)).get_legend_handles_labels()
    figure.legend(*named, loc="outside lower center", ncols=6, frameon=False, fontsize=7)
    plots.save(figure, path)


def measure_seeds(cell, shape, config):
    """The same with config.seeds networks in one vmapped program (many), with one (one), and with as many in turn."""
    params, xs, gradient = problem(cell, shape, config)
    stack = lambda a: jnp.stack([a] * config.seeds)
    every, every_xs = jax.tree.map(stack, params), stack(xs)
    one, auto, many = (
        jax.jit(gradient("reference")),
        jax.jit(gradient("auto")),
        jax.jit(lambda *a: over_models(lambda m: gradient("auto")(*m), a)),
    )
    calls = {
        "one": lambda: one(params, xs),
        "many": lambda: many(every, every_xs),
        "in turn": lambda: [auto(params, xs) for _ in range(config.seeds)],
    }
    return measured(calls, config)


def measure_attention(shape, config):
    """Figures of the gradient of a GRU that reads keys [s b d] under additive attention, with respect to all it has."""
    b, t, s, d = shape
    cell, keys = cells.gru(), jax.random.split(jax.random.key(config.seed), 3)
    params = {"cell": cell.init(keys[0], 2 * d, d), "attention": attention.init("additive", keys[1], d, d, d)}
    params["keys"] = jax.random.normal(keys[2], (s, b, d))

    def step(params, h, x):
        context, _ = attention.additive(h, params["keys"], **params["attention"])
        return cell.step(params["cell"], h, jnp.concatenate([x, context], axis=-1))

    def program(method):
        apply = lambda params, xs: scan(step, params, cell.carry(b, d), xs, method=method)[1]
        return benchmarks.compiled(apply, params, Problem("gru", (b, t, d, d), seed=config.seed, passes=("fwdbwd",)))

    programs = {"ours": program("auto"), "reference": program("reference")}
    calls = {name: each.fwdbwd for name, each in programs.items()}
    figures = describe(benchmarks.alternate(calls, config.repeats, config.seconds_per_shape), programs, "fwdbwd")
    return {key.removeprefix("ours_"): value for key, value in figures.items()}


def measure_task(name, cell, config):
    """Seconds of each repeat of a training step on a given batch, on one made inside, and of config.seeds of them."""
    one = toy_default.get_config()
    one.sizes = {"t": config.task_steps}
    one.update(
        {"task": name, "cell": cell, "width": config.task_width, "batch": config.task_batch, "seeds": config.seeds}
    )
    task = tasks.make(name, **one.sizes)
    start, apply = toy.network(one, task)
    optimizer = train.optim.build(one)
    key, kind = jax.random.key(config.seed), "cross_entropy" if task.discrete else "squared"

    def step(state, batch):
        inputs, targets, mask = batch

        def loss(params):
            outputs, scored = apply(params, inputs, mask)
            return scoring.loss(outputs, targets, scored, kind)

        grads = jax.grad(loss)(state[0])
        updates, opt_state = optimizer.update(grads, state[1], state[0])
        return jax.tree.map(jnp.add, state[0], updates), opt_state

    def with_data(state_and_key):
        return step(state_and_key[0], task.batch(state_and_key[1], one.batch))

    params = start(key)
    state = params, optimizer.init(params)
    batch = jax.jit(lambda key: task.batch(key, one.batch))(key)
    alone, made = jax.jit(step), jax.jit(with_data)
    stacked = jax.tree.map(lambda a: jnp.stack([a] * config.seeds), state), jax.random.split(key, config.seeds)
    many = jax.jit(lambda *models: over_models(with_data, models))
    calls = {"step": lambda: alone(state, batch), "step with data": lambda: made((state, key))}
    in_turn = lambda: [made((state, k)) for k in stacked[1]]
    return measured(calls | {"many": lambda: many(*stacked), "in turn": in_turn}, config)


def problem(cell, shape, config):
    """(params, xs, method -> gradient function) of a layer and a random linear loss."""
    b, t, n, d = shape
    keys = jax.random.split(jax.random.key(config.seed), 3)
    params, carry = cell.init(keys[0], n, d), cell.carry(b, d)
    xs, weight = jax.random.normal(keys[1], (t, b, n)), jax.random.normal(keys[2], (t, b, d))

    def gradient(method):
        loss = lambda p, xs: jnp.sum(weight * scan(cell.step, p, carry, xs, method=method)[1])
        return jax.grad(loss, (0, 1))

    return params, xs, gradient


def measured(calls, config):
    """Seconds of functions of JAX arrays."""
    ready = {name: lambda f=f: jax.block_until_ready(f()) for name, f in calls.items()}
    return benchmarks.alternate(ready, config.repeats, config.seconds_per_shape)


def split(text):
    """The parts of a comma-separated key."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse(shape, key="shapes"):
    try:
        b, t, n, d = (int(s) for s in shape.split("x"))
        if min(b, t, n, d) < 1:
            raise ValueError
    except ValueError:
        letter = "s" if key == "attention_shapes" else "n"
        raise ValueError(
            f"config.{key}: {shape!r}; want b x t x {letter} x d, each at least 1, such as 20x200x6x50"
        ) from None
    return b, t, n, d


def check(config):
    others = ("seed_shapes", "attention_shapes", "tasks")
    for key in ("shapes", "seed_shapes", "attention_shapes"):
        for shape in split(config[key]):
            parse(shape, key)
    for key in ("shapes", "cells", "contenders", "passes", "dtypes"):
        if not split(config[key]) and not (key == "shapes" and any(split(config[other]) for other in others)):
            raise ValueError(f"config.{key} is empty; want at least one")
    for key, known in (
        ("cells", (*cells.known(), *variants.KNOWN)), ("only", split(config.cells)), ("passes", ("fwd", "fwdbwd")),
        ("dtypes", ("float32", "bfloat16")), ("contenders", (*benchmarks.OURS, *benchmarks.CONTENDERS)),
    ):  # fmt: skip
        if unknown := [name for name in split(config[key]) if name not in known]:
            raise ValueError(f"config.{key}: {unknown[0]!r}; want some of {', '.join(known)}")
    for task in split(config.tasks):
        tasks.make(task, t=config.task_steps)
    if not 0 <= config.shortest <= 1:
        raise ValueError(f"config.shortest={config.shortest}: want a share of the steps, from 0 to 1")
    if config.repeats < 1 or config.seeds < 1:
        raise ValueError("config.repeats and config.seeds must be at least 1")


if __name__ == "__main__":
    train.cli.run(main, study="speed", check=check, keep_memory=False)  # libraries as they are used elsewhere
