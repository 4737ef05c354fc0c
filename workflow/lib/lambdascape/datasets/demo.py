"""A synthetic data set in the layout of DCASE 2018 Task 5, quirks included: a function of its settings.

Each session has a room of its own: colouring, reverberation, noise floor, gain and where its sources stand.
All nodes hear the same moments from their places in that room. What is drawn at random for a session depends
on the seed and its number alone.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from scipy import fft
from tqdm import tqdm

from lambdascape.config.settings import Demo
from lambdascape.core.errors import InputError
from lambdascape.core.files import atomic_path
from lambdascape.datasets.synthesis import RATE, RECIPES, Sound, decibel, drift, noise

SPEED_OF_SOUND = 343.0  # m/s
ROOM_M = (6.0, 5.0)
SPACING_M = 0.05  # between the microphones of a node
RESPONSE = 1 << 14  # samples of a room's response
MISSING = 2  # the session number that does not exist

README = """# SYNTHETIC data

No microphone was involved: `lambdascape` made this data set by a program from a seed, in the layout of the
development set of DCASE 2018 Task 5, so that the workflow can be tried without a download. Scores on it say
nothing about real homes.

Like the original it has nodes that hear the same moments, sessions of very different lengths, a session that
only node 1 has (s1), a session number that does not exist (s{missing}), and no newline at the end of
`meta.txt`.

Settings: `{settings}`
"""


@dataclass(frozen=True)
class Session:
    """One session: its number, label, length in segments, test fold (from 1) and number of nodes."""

    number: int
    label: str
    segments: int
    fold: int
    nodes: int

    def files(self) -> Iterator[tuple[int, int, str]]:
        """Node, segment and path of each of its clips."""
        for node in range(1, self.nodes + 1):
            for segment in range(1, self.segments + 1):
                yield node, segment, f"audio/DevNode{node}_ex{self.number}_{segment}.wav"


def synthesise(output: str | Path, settings: Demo) -> None:
    """Make the data set.

    Args:
        output: the folder to make; one that is there is replaced when the new one is complete.
        settings: the block `dataset.demo`; its classes are names out of `synthesis.RECIPES`.

    Raises:
        InputError: a class has no recipe, or fewer sessions than there are folds.
    """
    sessions = plan(settings)
    with atomic_path(output) as folder:
        (folder / "audio").mkdir(parents=True)
        text = README.format(missing=MISSING, settings=json.dumps(settings.plain(), sort_keys=True))
        (folder / "README.md").write_text(text, encoding="utf-8")
        _write_index(folder, sessions, settings.folds)
        for session in tqdm(sessions, desc="demo", unit="session", disable=None):
            _write_audio(folder, session, settings)


def plan(settings: Demo) -> list[Session]:
    """The sessions of the data set in order of their numbers; each fold gets sessions of every class.

    Raises:
        InputError: see `synthesise`.
    """
    classes, count, folds = settings.classes, settings.sessions_per_class, settings.folds
    unknown = sorted(set(classes) - set(RECIPES))
    if unknown or not classes:
        raise InputError(f"demo.classes: must be out of {', '.join(RECIPES)}; got {', '.join(unknown) or 'none'}")
    if count < folds:
        raise InputError(
            f"demo.sessions_per_class: must be at least demo.folds, {folds}, so that every fold tests every "
            f"class; got {count}"
        )
    rng = np.random.default_rng([settings.seed, 0])
    lengths = np.geomspace(settings.longest_session, settings.shortest_session, count).round()
    # Longest first there, longest last back: so the folds' shares of a class are alike.
    there_and_back = [*range(folds), *reversed(range(folds))]
    kinds = [
        (label, int(length), (there_and_back[place % (2 * folds)] + shift) % folds + 1)
        for shift, label in enumerate(classes)
        for place, length in enumerate(lengths)
    ]
    rest = [kinds[i + 1] for i in rng.permutation(len(kinds) - 1)]
    numbers = [1, *range(MISSING + 1, MISSING + len(kinds))]
    return [
        Session(number, label, length, fold, 1 if number == 1 else settings.nodes)
        for number, (label, length, fold) in zip(numbers, [kinds[0], *rest], strict=True)
    ]


def _write_index(folder: Path, sessions: list[Session], folds: int) -> None:
    """Write meta.txt and the folds' files; fold 1's test file has the trailing tabs that some copies have."""
    clips = [(path, session) for session in sessions for *_, path in session.files()]
    meta = "\n".join(f"{path}\t{session.label}\ts{session.number}" for path, session in clips)
    (folder / "meta.txt").write_text(meta, encoding="utf-8")
    setup = folder / "evaluation_setup"
    setup.mkdir()
    for fold in range(1, folds + 1):
        train = [f"{path}\t{s.label}\ts{s.number}\n" for path, s in clips if s.fold != fold]
        test = [path + ("\t\n" if fold == 1 else "\n") for path, s in clips if s.fold == fold]
        evaluate = [f"{path}\t{s.label}\n" for path, s in clips if s.fold == fold]
        for part, lines in (("train", train), ("test", test), ("evaluate", evaluate)):
            (setup / f"fold{fold}_{part}.txt").write_text("".join(lines), encoding="utf-8")


def _write_audio(folder: Path, session: Session, settings: Demo) -> None:
    length = round(settings.clip_s * RATE)
    sound = session_sound(session, length * session.segments, settings)
    for node, segment, path in session.files():
        clip = sound[node - 1, (segment - 1) * length : segment * length]
        soundfile.write(folder / path, clip, RATE, subtype="PCM_16")


def session_sound(session: Session, samples: int, settings: Demo) -> npt.NDArray[np.int16]:
    """What the nodes record of a session, shape (node, sample, channel), int16."""
    rng = np.random.default_rng([settings.seed, session.number])
    sources = RECIPES[session.label](rng, samples)
    room = AcousticRoom.draw(rng, len(sources))
    size = fft.next_fast_len(samples + RESPONSE, real=True)
    result = np.empty((session.nodes, samples, settings.channels), np.int16)
    for node in range(session.nodes):
        # Generators of its own: what a node hears does not depend on how many others there are. They count
        # from 1, because NumPy takes the seed [a, b, 0] for [a, b].
        walls = np.random.default_rng([settings.seed, session.number, node + 1])
        microphone = _colour(np.random.default_rng([settings.seed, 0, node + 1]), 2.0)
        spectra = [fft.rfft(source * np.exp(drift(walls, samples, 5.0, 0.25)), size) for source in sources]
        for channel in range(settings.channels):
            responses = [
                fft.rfft(room.response(walls, place, node, channel, microphone), size) for place in room.places
            ]
            heard = fft.irfft(sum(s * r for s, r in zip(spectra, responses, strict=True)), size)[:samples]
            heard += room.floor * noise(walls, samples, 40, 7000, -3)
            result[node, :, channel] = np.clip(np.rint(heard * 32767), -32768, 32767)
    return result


@dataclass(frozen=True)
class AcousticRoom:
    """What a session does to its sources: a response, shape (frequency,), places in metres, and levels."""

    colour: Sound
    places: npt.NDArray[np.float64]
    tail_s: float
    tail: float
    floor: float

    @classmethod
    def draw(cls, rng: np.random.Generator, sources: int) -> "AcousticRoom":
        """A room at random, with places for so many sources."""
        return cls(
            colour=np.float32(decibel(rng.normal(0, 4))) * _colour(rng, 3.5),
            places=rng.uniform(0.1, 0.9, (sources, 2)) * ROOM_M,
            tail_s=rng.uniform(0.1, 0.5),
            tail=decibel(rng.uniform(-14, -4)),
            floor=decibel(rng.uniform(-66, -52)),
        )

    def response(
        self,
        rng: np.random.Generator,
        place: npt.NDArray[np.float64],
        node: int,
        channel: int,
        microphone: Sound,
    ) -> Sound:
        """From a place to a microphone: direct sound and a decaying tail, coloured; shape (sample,)."""
        corner = np.array([node % 2, node // 2 % 2]) * ROOM_M + [SPACING_M * channel, 0.0]
        distance = float(np.hypot(*(place - corner)))
        delay_s = distance / SPEED_OF_SOUND + 0.01  # later than needed: the colouring rings to both sides
        direct = np.exp(-2j * np.pi * delay_s * fft.rfftfreq(RESPONSE, 1 / RATE)) / max(distance, 0.3)
        time = np.arange(RESPONSE, dtype=np.float32) / RATE - delay_s
        tail = rng.standard_normal(RESPONSE, np.float32) * np.exp(-6.9 * time / self.tail_s) * (time > 0)
        reverberation = self.tail * fft.rfft(tail / np.sqrt(np.sum(tail**2)))
        return fft.irfft(self.colour * microphone * (direct + reverberation)).astype(np.float32)


def _colour(rng: np.random.Generator, spread: float) -> Sound:
    """A smooth random response with a standard deviation of `spread` dB, shape (frequency,)."""
    octave = np.log2(fft.rfftfreq(RESPONSE, 1 / RATE) / 50 + 1)[:, np.newaxis]  # 0 to about 7.3
    phase, weight = rng.uniform(0, 2 * np.pi, 5), rng.standard_normal(5)
    waves = weight * np.cos(2 * np.pi * np.arange(1, 6) * octave / 15 + phase)  # (frequency, wave)
    return np.power(10, spread / 20 * np.sqrt(2 / 5) * waves.sum(axis=1)).astype(np.float32)
