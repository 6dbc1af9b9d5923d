"""Ten made-up spoken digits, for studies that need no file: two resonances that glide, over a voice."""

import numpy as np

from rnn_jax.data.audio import Recording

# Where the two formants (Hz) of each digit begin and end. Some differ in one formant, some in the direction alone.
FORMANTS = np.array(
    [
        [[300, 300], [870, 2250]], [[300, 300], [2250, 870]], [[700, 700], [1200, 1200]], [[700, 300], [1200, 1200]],
        [[300, 700], [1200, 1200]], [[500, 500], [1800, 1800]], [[500, 500], [1000, 2400]], [[500, 500], [2400, 1000]],
        [[700, 300], [1800, 2250]], [[300, 700], [2250, 1800]],
    ]
)  # fmt: skip


def speak(digit: int, pitch: float, tract: float, rng, rate=8000):
    """A digit of 0.15 to 0.45 s, float32 [n].

    x(t) = e(t) sum_k a_k(t) sin(2 pi k int f0) + noise,  a_k(t) = sum_j exp(-((k f0 - tract F_j(t)) / B_j)^2) / k^(1/2)

    the harmonics k of a pitch f0 (Hz) that falls a little, louder near the formants F_j, which lie `tract` times as
    high as in FORMANTS; e: fades in and out. Source and filter, as in speech (Fant, 1960).
    """
    n = int(rate * rng.uniform(0.15, 0.45))
    t = np.linspace(0, 1, n, dtype=np.float32)
    f0 = pitch * rng.uniform(0.9, 1.1) * (1.08 - 0.16 * t)
    k = np.arange(1, int(0.45 * rate / f0.max()) + 1)[:, None]
    begin, end = (tract * FORMANTS[digit] * rng.normal(1, 0.04, (2, 1)))[:, :, None].swapaxes(0, 1)
    track = begin + (end - begin) * t**1.5  # [2 n]
    loud = sum(np.exp(-(((k * f0 - f) / b) ** 2)) for f, b in zip(track, (120.0, 180.0), strict=True)) / np.sqrt(k)
    phase = 2 * np.pi * np.cumsum(f0) / rate
    voice = (np.sqrt(4 * t * (1 - t)) * (loud * np.sin(k * phase)).sum(0)) * 0.1
    return (voice + rng.normal(0, 0.01, n)).astype(np.float32)


def make(takes: tuple[int, int, int], rate=8000, seed=0) -> list[list[Recording]]:
    """Recordings to train, validate and test: takes[i] of each digit by each of 8, 2 and 2 speakers, other speakers in
    each part.
    """
    rng, parts = np.random.default_rng(seed), []
    for part, (speakers, each) in enumerate(zip((8, 2, 2), takes, strict=True)):
        found = []
        for speaker in range(speakers):
            pitch, tract = rng.uniform(90, 240), rng.uniform(0.9, 1.15)
            for digit in np.repeat(np.arange(10), each):
                sound = speak(int(digit), pitch, tract, rng, rate)
                found.append(Recording(int(digit), f"{part}/{speaker}", sound))
        parts.append(found)
    return parts
