"""Encoder-decoder: one sequence to another, over any cell.

    encoder   h_1 ... h_s over the source, in one direction or in both
    decoder   p(y | x) = prod_i softmax(W_o u_i + b_o), u_i the features that the decoder makes at step i; with deep=l
              softmax(W_o t_i + b_o), t_i = max(W_1 u_i, W_2 u_i) of l units (Goodfellow et al., 2013; Bahdanau's 500)

What the decoder knows of the source (`inform`):

    state      its initial carry alone: the encoder's last one, layer by layer (Sutskever, Vinyals & Le, 2014); from an
               encoder of two directions tanh(W [last forward, first backward] + b)     u_i = h_i
    input      and at each step z, the encoder's last output (Cho et al., 2014)         u_i = [h_i, z, e_i]
    attention  and at each step the context c_i that `rnn_jax.attention` reads from h_1 ... h_s
               when="before"  (Bahdanau et al., 2015)  query h_{i-1}; input [e_i, c_i]  u_i = [h_i, c_i, e_i]
               when="after"   (Luong et al., 2015)     query h_i;     input e_i, with feed=True [e_i, u_{i-1}]
                                                                                        u_i = tanh(W_c [c_i, h_i])

Rows are packed: a row of a batch holds several sentence pairs, one after the other, and `segments` (int [s b] and
[t b]; 1, 2, ... and 0 for nothing) says which positions belong together. The states are reset where a segment begins,
and attention reads the keys of its own segment. A batch of one sentence a row is segments of 1, and 0 where it is over.

Everything is a pure function of (params, ...); tokens are time-major; dropout masks are drawn outside the loops.
"""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp

from rnn_jax import attention
from rnn_jax.cells.base import Cell
from rnn_jax.cells.initializers import glorot, normal
from rnn_jax.scan import scan


@dataclasses.dataclass(frozen=True)
class Seq2Seq:
    """The sizes of a model; its functions take the params that `init` makes."""

    cell: Cell
    sources: int  # source vocabulary
    targets: int  # target vocabulary
    d: int = 512  # units of each layer, and in the encoder of each direction
    embed: int = 256
    layers: int = 1
    bidirectional: bool = True
    inform: Literal["state", "input", "attention"] = "attention"
    attention: Literal["additive", "dot", "general", "concat"] = "additive"
    when: Literal["before", "after"] = "before"
    feed: bool = False  # of when="after": input feeding
    deep: int = 0  # units of a maxout layer between the features and the scores; 0: none
    dropout: float = 0.0  # of embeddings, and between layers
    dropout_out: float = 0.0  # of the features u_i
    variational: bool = False  # one dropout mask for all steps of a row (Gal & Ghahramani, 2016)
    method: str = "auto"

    def __post_init__(self):
        known = {"inform": ("state", "input", "attention"), "attention": attention.KINDS, "when": ("before", "after")}
        for key, names in known.items():
            if getattr(self, key) not in names:
                raise ValueError(f"seq2seq: {key} is {getattr(self, key)!r}; want one of {', '.join(names)}")
        if self.feed and (self.inform, self.when) != ("attention", "after"):
            raise ValueError(
                'seq2seq: feed=True feeds back tanh(W_c [c, h]): it needs inform="attention", when="after"'
            )

    @property
    def keys(self):
        """Width of what the encoder gives at each position."""
        return self.d * (2 if self.bidirectional else 1)

    @property
    def after(self):
        return self.inform == "attention" and self.when == "after"

    def init(self, key):
        k = iter(jax.random.split(key, 12))
        d, embed, wide = self.d, self.embed, self.keys
        more = {"state": 0, "input": wide, "attention": (d if self.feed else 0) if self.after else wide}[self.inform]
        layer = lambda key, n: self.cell.init(key, n, d)
        stack = lambda key, n, next_n: [
            layer(key, n if i == 0 else next_n) for i, key in enumerate(jax.random.split(key, self.layers))
        ]
        params = {
            "source_embedding": normal(0.1)(next(k), (self.sources, embed)),
            "target_embedding": normal(0.1)(next(k), (self.targets, embed)),
            "forward": stack(next(k), embed, wide),
            "decoder": stack(next(k), embed + more, d),
        }
        if self.bidirectional:
            params["backward"] = stack(next(k), embed, wide)
            one = jax.tree.leaves(self.cell.carry(1, d))
            if any(a.shape != (1, d) for a in one):
                raise ValueError("seq2seq: a cell whose carry leaves are not [b d] needs bidirectional=False")
            bridge = lambda key: {"w": glorot()(key, (2 * d, d)), "b": jnp.zeros(d)}
            params["bridge"] = [
                [bridge(a) for a in jax.random.split(each, len(one))] for each in jax.random.split(next(k), self.layers)
            ]
        if self.inform == "attention":
            params["attention"] = attention.init(self.attention, next(k), d, wide, d)
        if self.after:
            params["combine"] = glorot()(next(k), (wide + d, d))
        features = d if self.after or self.inform == "state" else d + wide + embed
        if self.deep:
            params["deep"] = glorot()(next(k), (features, 2 * self.deep))
        return params | {"wo": glorot()(next(k), (self.deep or features, self.targets)), "bo": jnp.zeros(self.targets)}

    def encode(self, params, tokens, segments, key=None):
        """The memory that the decoder reads, a dict: keys [s b k], segments [s b], states of each layer [s b ...]."""
        b = tokens.shape[1]
        keys = _keys(key, self.layers)
        xs = params["source_embedding"][tokens]
        zero, step, resets = self.cell.carry(b, self.d, xs.dtype), _with_carry(self.cell.step), begins(segments)
        states = []
        for i, key in enumerate(keys):
            xs = self.drop(key, xs, self.dropout)
            run = lambda p, reverse, xs=xs: scan(
                step, p, zero, xs, resets=resets, initial=zero, reverse=reverse, method=self.method
            )[1]
            h, forward = run(params["forward"][i], False)
            backward = None
            if self.bidirectional:
                back, backward = run(params["backward"][i], True)
                h = jnp.concatenate([h, back], axis=-1)
            states.append((forward, backward))
            xs = h
        return {"keys": xs, "segments": segments, "states": states}

    def start(self, params, memory, segments):
        """What the decoder begins each target position's segment with, [t b ...]: (carries, out, z)."""
        last, first = ends(memory["segments"], segments)
        take = lambda a, at: jnp.take_along_axis(a, at.reshape(*at.shape, *[1] * (a.ndim - 2)), axis=0)
        carries = []
        for i, (forward, backward) in enumerate(memory["states"]):
            state = jax.tree.map(lambda a: take(a, last), forward)
            if backward is not None:
                both = zip(jax.tree.leaves(state), jax.tree.leaves(backward), params["bridge"][i], strict=True)
                turned = [jnp.tanh(jnp.concatenate([f, take(r, first)], -1) @ p["w"] + p["b"]) for f, r, p in both]
                state = jax.tree.unflatten(jax.tree.structure(state), turned)
            carries.append(state)
        top = jax.tree.leaves(carries[-1])[0]
        out = top if top.shape == (*segments.shape, self.d) else jnp.zeros((*segments.shape, self.d), top.dtype)
        out = jnp.zeros_like(out) if self.after else out  # h_0, the first query; nothing to feed back yet
        d, keys = self.d, memory["keys"]
        z = take(keys[..., :d], last)
        return carries, out, jnp.concatenate([z, take(keys[..., d:], first)], -1) if self.bidirectional else z

    def advance(self, params, memory, carry, e, segment, drop=()):
        """One step of the decoder: (carry, features [b u], attention weights [s b] or None).

        carry: (of each layer, out [b d], z [b k]); e: embedded token [b n]; segment: int [b]; drop: a mask [b d] for
        what each layer but the last hands on.
        """
        states, out, z = carry
        read = lambda query: getattr(attention, self.attention)(
            query, memory["keys"], (memory["segments"] == segment) & (segment > 0), **params["attention"]
        )
        weights, more = None, []
        if self.inform == "input":
            more = [z]
        elif self.inform == "attention" and not self.after:
            context, weights = read(out)
            more = [context]
        elif self.feed:
            more = [out]
        h, after = jnp.concatenate([e, *more], axis=-1), []
        for i, (p, state) in enumerate(zip(params["decoder"], states, strict=True)):
            state, h = self.cell.step(p, state, h)
            after.append(state)
            h = h * drop[i] if i < len(drop) else h
        if self.after:
            context, weights = read(h)
            h = features = jnp.tanh(jnp.concatenate([context, h], axis=-1) @ params["combine"])
        else:
            features = h if self.inform == "state" else jnp.concatenate([h, *more, e], axis=-1)
        return (after, h, z), features, weights

    def readout(self, params, features):
        if self.deep:
            features = jnp.maximum(*jnp.split(features @ params["deep"], 2, axis=-1))
        return features @ params["wo"] + params["bo"]

    def logits(self, params, source, source_segments, inputs, segments, *, forcing=None, key=None, collect=()):
        """Scores [t b v] of the target tokens after `inputs` [t b], each row beginning every segment with its start.

        forcing  [b]: scheduled sampling (Bengio et al., 2015, arXiv:1506.03099): the probability, a coin per token,
                 that the given token is read; else what the model itself finds most likely. None: always the given one
        key      dropout, and the coins; None for evaluation
        collect  ("attention",): then (logits, dict of [t ...])
        """
        t, b = inputs.shape
        k_source, k_in, k_between, k_out, k_coin = _keys(key, 5)
        memory = self.encode(params, source, source_segments, k_source)
        first, start = begins(segments), self.start(params, memory, segments)
        zero = jax.tree.map(lambda a: jnp.zeros_like(a[0]), start)
        drop_in = self.mask(k_in, (t, b, self.embed), self.dropout)
        between = [self.mask(k, (t, b, self.d), self.dropout) for k in _keys(k_between, self.layers)[:-1]]
        between = [] if between and between[0] is None else between
        given = params, {k: memory[k] for k in ("keys", "segments")}

        def move(given, carry, e, segment, first, start, drop):
            carry = jax.tree.map(lambda s, c: jnp.where(_wide(first, c), s, c), start, carry)
            params, memory = given
            return self.advance(params, memory, carry, e, segment, drop)[:2]

        if forcing is None:
            e = params["target_embedding"][inputs]
            e = e if drop_in is None else e * drop_in
            out: Any = scan(
                lambda given, carry, x: move(given, carry, *x), given, zero, (e, segments, first, start, between),
                method=self.method, collect=collect,
            )  # fmt: skip
            logits = self.readout(params, self.drop(k_out, out[1], self.dropout_out))
            return (logits, out[2]) if collect else logits
        if k_coin is None:
            raise ValueError("seq2seq: forcing draws coins: give a key")
        forced = jax.random.bernoulli(k_coin, forcing, (t, b)) | first
        drop_out = self.mask(k_out, (t, b, params["deep" if self.deep else "wo"].shape[0]), self.dropout_out)

        def sampled(given, carry, x):
            carry, guess = carry
            token, forced, drop_in, drop_out, *rest = x
            e = given[0]["target_embedding"][jnp.where(forced, token, guess)]
            carry, features = move(given, carry, e if drop_in is None else e * drop_in, *rest)
            logits = self.readout(given[0], features if drop_out is None else features * drop_out)
            return (carry, jnp.argmax(logits, -1).astype(token.dtype)), logits

        xs = inputs, forced, drop_in, drop_out, segments, first, start, between
        carry = zero, jnp.zeros(b, inputs.dtype)
        out: Any = scan(sampled, given, carry, xs, method=self.method, collect=collect)
        return (out[1], out[2]) if collect else out[1]

    def begin(self, params, source, segments):
        """(given, carry) for `step`: decoding of one sentence a row."""
        memory = self.encode(params, source, segments)
        one = jnp.ones((1, source.shape[1]), segments.dtype)
        carry = jax.tree.map(lambda a: a[0], self.start(params, memory, one))
        memory = {k: memory[k] for k in ("keys", "segments")}
        return (params, memory), (carry, jnp.zeros(source.shape[::-1], memory["keys"].dtype))

    def step(self, given, carry, tokens):
        """What `rnn_jax.decoding` asks for; the carry holds `covered` as well, the sum of the attention [b s]."""
        (params, memory), (carry, covered) = given, carry
        e = params["target_embedding"][tokens]
        carry, features, weights = self.advance(params, memory, carry, e, jnp.ones_like(tokens))
        if weights is not None:
            covered = covered + jnp.where(memory["segments"] == 1, weights, 1).T
        return (carry, covered), self.readout(params, features)

    def mask(self, key, shape, rate):
        """A dropout mask [t b ...], scaled to keep the mean; None where nothing is dropped."""
        if key is None or not rate:
            return None
        drawn = jax.random.bernoulli(key, 1 - rate, (1, *shape[1:]) if self.variational else shape)
        return jnp.broadcast_to(drawn / (1 - rate), shape)

    def drop(self, key, xs, rate):
        mask = self.mask(key, xs.shape, rate)
        return xs if mask is None else xs * mask


def begins(segments):
    """bool [t b]: where a segment begins, the empty one (0) included."""
    before = jnp.concatenate([jnp.full_like(segments[:1], -1), segments[:-1]])
    return segments != before


def ends(source_segments, segments):
    """(last, first) source position of each target position's segment, int [t b]; 0 where there is none."""
    same = source_segments[None] == segments[:, None]  # [t s b]
    s = source_segments.shape[0]
    at = jnp.arange(s)[None, :, None]
    found = jnp.any(same, axis=1)
    last, first = jnp.max(jnp.where(same, at, -1), axis=1), jnp.min(jnp.where(same, at, s), axis=1)
    return jnp.where(found, last, 0), jnp.where(found, first, 0)


def _with_carry(step):
    """The step, with its carry beside what it emits."""

    def both(params, carry, x):
        carry, y = step(params, carry, x)
        return carry, (y, carry)

    return both


def _wide(marks, like):
    return marks.reshape(*marks.shape, *[1] * (like.ndim - 1))


def _keys(key, n):
    return [None] * n if key is None else list(jax.random.split(key, n))
