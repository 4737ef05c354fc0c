"""Recipes of household sounds for the synthetic data set: each makes the dry sources of one session.

A recipe draws what the session is like (which machine, which dishes, whose voices) and then its sound as it
drifts through the session. All arrays are float32 at `RATE`; full scale is ±1.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import fft, signal

RATE = 16_000  # Hz
VOWELS = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (300, 870, 2240),
    (530, 1840, 2480),
    (570, 840, 2410),
)  # formants in Hz

Sound = npt.NDArray[np.float32]
Recipe = Callable[[np.random.Generator, int], list[Sound]]


def decibel(level: float) -> float:
    """Amplitude factor of a level in dB."""
    return float(10 ** (level / 20))


def noise(rng: np.random.Generator, samples: int, low: float, high: float, slope: float = 0.0) -> Sound:
    """Noise of unit power between `low` and `high` Hz, sloping by `slope` dB an octave; shape (sample,)."""
    size = fft.next_fast_len(samples, real=True)
    frequency = fft.rfftfreq(size, 1 / RATE).astype(np.float32) + 1
    level = frequency ** np.float32(slope / 6.02) / np.sqrt(
        (1 + (low / frequency) ** 6) * (1 + (frequency / high) ** 6)
    )
    spectrum = rng.standard_normal((len(level), 2), np.float32).view(np.complex64)[:, 0] * level
    sound = fft.irfft(spectrum, size)[:samples]
    return sound / np.sqrt(np.mean(sound**2))


def drift(rng: np.random.Generator, samples: int, period_s: float, spread: float) -> Sound:
    """A slow random curve, mean 0 and deviation `spread`, turning about every `period_s`; shape (sample,)."""
    knots = int(samples / RATE / period_s) + 2
    turns = rng.standard_normal(knots)
    turns[1:] *= 0.8
    walk = signal.lfilter([1.0], [1.0, -0.6], turns) * spread  # 0.6² + 0.8² = 1 keeps the spread
    return np.interp(np.arange(samples), np.arange(knots) * period_s * RATE, walk).astype(np.float32)


def hum(rng: np.random.Generator, samples: int, pitch: float, partials: int, fall: float) -> Sound:
    """A tone whose pitch in Hz wavers; partial k has about the amplitude k^-fall; shape (sample,)."""
    phase = np.cumsum(2 * np.pi * pitch / RATE * (1 + drift(rng, samples, 1.0, 0.006)), dtype=np.float64)
    sound = np.zeros(samples, np.float32)
    for k in range(1, partials + 1):
        sound += np.float32(k**-fall * rng.lognormal(0, 0.5)) * np.sin((k * phase) % (2 * np.pi), dtype=np.float32)
    return sound


def events(rng: np.random.Generator, samples: int, rate: float, kernels: list[Sound]) -> Sound:
    """Short sounds at random times, `rate` a second on average but in bouts; shape (sample,)."""
    sound = np.zeros(samples, np.float32)
    activity = np.exp(drift(rng, samples, 2.0, 0.6)[::RATE])  # one value a second
    for second, count in enumerate(rng.poisson(rate * activity)):
        for at in second * RATE + rng.integers(0, RATE, count):
            kernel = kernels[rng.integers(len(kernels))][: max(0, samples - at)]
            sound[at : at + len(kernel)] += kernel * np.float32(rng.lognormal(0, 0.5))
    return sound


def rings(rng: np.random.Generator, low: float, high: float, decay_s: float) -> list[Sound]:
    """Four struck things, each four decaying modes between `low` and `high` Hz after a short knock."""
    time = np.arange(int(4 * decay_s * RATE), dtype=np.float32) / RATE
    things = []
    for _ in range(4):
        modes = rng.uniform(low, high, (4, 1)).astype(np.float32)
        decay = (decay_s * rng.uniform(0.4, 1.2, (4, 1))).astype(np.float32)
        ring = (np.exp(-time / decay) * np.sin(2 * np.pi * modes * time)).sum(axis=0) / 2
        things.append(ring + bursts(rng, 1, len(time), 0.004)[0])
    return things


def bursts(rng: np.random.Generator, count: int, samples: int, decay_s: float) -> list[Sound]:
    """Short decaying noises, each of another colour."""
    envelope = np.exp(-np.arange(samples, dtype=np.float32) / np.float32(decay_s * RATE))
    return [noise(rng, samples, rng.uniform(200, 2500), 7500.0) * envelope for _ in range(count)]


@cache
def _resonators(formants: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Second-order sections of a vocal tract, shape (formant, 6)."""
    sections = []
    for frequency, width in zip(formants, (80, 110, 160), strict=True):
        radius = np.exp(-np.pi * width / RATE)
        a = [1.0, -2 * radius * np.cos(2 * np.pi * frequency / RATE), radius**2]
        sections.append([sum(a), 0.0, 0.0, *a])
    return np.asarray(sections)


def voice(rng: np.random.Generator, samples: int, pitch: float, pause: float) -> Sound:
    """Babble: a buzz through formants in syllables, some hissing, a share `pause` silent; shape (sample,)."""
    sound = np.zeros(samples, np.float32)
    at = 0
    while at < samples:
        length = min(int(RATE * rng.uniform(0.09, 0.3)), samples - at)
        if rng.random() < pause:
            length = min(3 * length, samples - at)
        else:
            melody = pitch * np.exp(0.15 * rng.standard_normal() + np.linspace(0.1, -0.1, length))
            buzz = 2 * (np.cumsum(melody / RATE) % 1) - 1
            vowel = signal.sosfilt(_resonators(VOWELS[rng.integers(len(VOWELS))]), buzz)
            hiss = rng.standard_normal(length) * (0.05 if rng.random() < 0.25 else 0.002)
            sound[at : at + length] = (vowel + hiss) * np.hanning(length) * rng.lognormal(0, 0.3)
        at += length
    return sound


def music(rng: np.random.Generator, samples: int, beat_s: float) -> Sound:
    """Notes of one scale, three at a time, each with four partials; shape (sample,)."""
    sound = np.zeros(samples, np.float32)
    scale = rng.uniform(110, 220) * 2 ** (np.array([0, 2, 4, 7, 9, 12, 14, 16]) / 12)
    time = np.arange(int(2 * beat_s * RATE), dtype=np.float32) / RATE
    envelope = np.exp(-2 * time / beat_s)
    for at in range(0, samples, int(beat_s * RATE)):
        for pitch in rng.choice(scale, 3):
            note = sum(np.sin(2 * np.pi * k * np.float32(pitch) * time) / k for k in range(1, 5)) * envelope
            sound[at : at + len(note)] += 0.2 * note[: samples - at]
    return sound


def absence(rng: np.random.Generator, samples: int) -> list[Sound]:
    """A room that nobody uses: a refrigerator, and now and then a creak."""
    creaks = events(rng, samples, 0.15, rings(rng, 200, 1500, 0.05))
    return [decibel(-50) * hum(rng, samples, rng.choice([50.0, 100.0]), 6, 1.0) + decibel(-46) * creaks]


def cooking(rng: np.random.Generator, samples: int) -> list[Sound]:
    """Sizzling with crackles, and clatter of pans."""
    sizzle = noise(rng, samples, rng.uniform(600, 2500), 7500, rng.uniform(-3, 1))
    crackle = events(rng, samples, rng.uniform(10, 30), bursts(rng, 4, 200, 0.002))
    clatter = events(rng, samples, rng.uniform(0.3, 1.2), rings(rng, 300, 3000, 0.08))
    swell = decibel(-37) * np.exp(drift(rng, samples, 3.0, 0.5))
    return [swell * (sizzle + crackle), decibel(-32) * clatter]


def dishwashing(rng: np.random.Generator, samples: int) -> list[Sound]:
    """Running water, splashing, and clinks of dishes."""
    water = noise(rng, samples, rng.uniform(200, 1200), rng.uniform(3000, 7500), rng.uniform(-4, 0))
    splash = np.exp(drift(rng, samples, 0.08, 0.5) + drift(rng, samples, 2.0, 0.5))
    clinks = events(rng, samples, rng.uniform(0.8, 2.5), rings(rng, 1200, 6000, 0.06))
    return [decibel(-38) * splash * water, decibel(-34) * clinks]


def social_activity(rng: np.random.Generator, samples: int) -> list[Sound]:
    """Two or three people who talk at the same time, and clinks of their cups."""
    voices = [voice(rng, samples, rng.uniform(90, 240), 0.35) for _ in range(rng.integers(2, 4))]
    cups = events(rng, samples, rng.uniform(0.1, 0.6), rings(rng, 1000, 5000, 0.06))
    return [decibel(-26) * sum(voices[1:], cups * decibel(-8)), decibel(-26) * voices[0]]


def vacuum_cleaner(rng: np.random.Generator, samples: int) -> list[Sound]:
    """A motor and the air that it moves, nearer and farther."""
    motor = hum(rng, samples, rng.uniform(90, 260), 12, rng.uniform(0.5, 1.0))
    air = noise(rng, samples, rng.uniform(100, 600), rng.uniform(3000, 7500), rng.uniform(-4, 0))
    return [decibel(-24) * np.exp(drift(rng, samples, 1.5, 0.3)) * (rng.uniform(0.2, 0.5) * motor + air)]


def watching_tv(rng: np.random.Generator, samples: int) -> list[Sound]:
    """One voice at a time, with music under it, from a small loudspeaker."""
    speech = voice(rng, samples, rng.uniform(90, 240), 0.15)
    tune = music(rng, samples, rng.uniform(0.25, 0.6)) * np.exp(drift(rng, samples, 4.0, 0.7))
    band = signal.butter(2, [200, 6000], "bandpass", fs=RATE, output="sos")
    return [decibel(-26) * signal.sosfilt(band, speech + 0.5 * tune).astype(np.float32)]


def working(rng: np.random.Generator, samples: int) -> list[Sound]:
    """Typing in bouts, a computer's fan, and now and then a chair."""
    keys = events(rng, samples, rng.uniform(2, 6), bursts(rng, 6, 800, 0.006))
    fan = noise(rng, samples, 80, rng.uniform(600, 3000), -3)
    chair = events(rng, samples, 0.1, rings(rng, 100, 700, 0.1))
    return [decibel(-38) * keys + decibel(-40) * chair, decibel(-50) * fan]


RECIPES: dict[str, Recipe] = {
    recipe.__name__: recipe
    for recipe in (absence, cooking, dishwashing, social_activity, vacuum_cleaner, watching_tv, working)
}
