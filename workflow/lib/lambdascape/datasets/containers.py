"""WAV and Ogg files from their containers: whole, and in agreement with themselves. libsndfile checks less."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lambdascape.datasets.candidates import UnusableError

ORDERS = {b"RIFF": "<", b"RF64": "<", b"RIFX": ">"}  # byte order by the first four bytes
IN_DS64 = 0xFFFFFFFF  # the 32 bits of a size that stands in the chunk `ds64`
PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
LONGEST_PAGE = 27 + 255 + 255 * 255  # bytes of an Ogg page
LAST_PAGE = 4  # the flag of the page that ends an Ogg stream
UNCOMPRESSED = (PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE)  # as many bytes for every frame


class Chunk(NamedTuple):
    """A part of the file: its name, where its content starts, and how many bytes that has."""

    name: bytes
    start: int
    size: int

    @property
    def end(self) -> int:
        """The first byte behind the content."""
        return self.start + self.size


class Format(NamedTuple):
    """The chunk `fmt `: tag, channels, rate in Hz, bytes per second, bytes per frame, bits per sample."""

    tag: int
    channels: int
    rate: int
    byte_rate: int
    frame_size: int
    bits: int


def frames_of_wav(file: Path) -> int | None:
    """Number of frames that the bytes of a WAV file hold, after a check of its chunks.

    Args:
        file: any file.

    Returns:
        Frames per channel; None where they do not follow from the header, as with compressed samples, and where the
        file is no WAV file.

    Raises:
        UnusableError: the file is cut, its sizes or its format contradict each other, or it has no samples.
        OSError: it cannot be read.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(12)
        order = ORDERS.get(head[:4])
        if order is None or head[8:] != b"WAVE":
            return None
        chunks = list(_chunks(stream, order, size, end=8 + _unpack(order + "I", head[4:8])[0]))
        names = [chunk.name for chunk in chunks]
        if b"data" not in names or b"fmt " not in names[: names.index(b"data")]:
            raise UnusableError("a WAV file must hold its format and then its samples", _listed(names), "fmt and data")
        form = _format(stream, order, chunks[names.index(b"fmt ")])
    if form.tag not in UNCOMPRESSED:
        return None
    _check_format(form)
    samples = chunks[names.index(b"data")]
    if samples.size % form.frame_size:
        expected = f"a multiple of {form.frame_size}"
        raise UnusableError("the samples must fill whole frames", f"{samples.size} bytes", expected)
    return samples.size // form.frame_size


def _unpack(form: str, content: bytes) -> tuple[int, ...]:
    """Whole numbers of the content; what is missing of it counts as zero."""
    return struct.unpack(form, content.ljust(struct.calcsize(form), b"\0"))


def _listed(names: list[bytes]) -> str:
    return ", ".join(name.decode("ascii").strip() for name in names) or "nothing"


def _chunks(stream: BinaryIO, order: str, size: int, end: int) -> Iterator[Chunk]:
    """The chunks one after another, to the end of the file or, after the samples, of what the file calls its `end`."""
    at, long_size, samples, odd = 12, 0, False, False
    while size - at > 1 and not (samples and at in (end, end + 1)):  # a last single byte fills up to an even length
        chunk = _chunk(stream, order, at)
        if chunk is None and odd:
            chunk = _chunk(stream, order, at := at - 1)  # many programs forget the byte after a chunk of odd length
        if chunk is None:
            raise UnusableError(
                "the chunks of a WAV file must fill it", f"no chunk at byte {at}", f"{size} bytes of chunks"
            )
        if chunk.name == b"ds64":
            stream.seek(chunk.start)
            _, long_size = _unpack("<QQ", stream.read(16))
        if chunk.name == b"data" and chunk.size == IN_DS64 and long_size:
            chunk = chunk._replace(size=long_size)
        if chunk.end > size:
            found = f"{size - chunk.start} bytes of {_listed([chunk.name])}"
            raise UnusableError("the file must be as long as its header says", found, f"{chunk.size} bytes")
        yield chunk
        samples, odd = samples or chunk.name == b"data", bool(chunk.size % 2)
        at = chunk.end + odd


def _chunk(stream: BinaryIO, order: str, at: int) -> Chunk | None:
    """The chunk at this byte; None where none can be."""
    stream.seek(at)
    head = stream.read(8)
    if len(head) < 8 or not all(0x20 <= byte < 0x7F for byte in head[:4]):
        return None
    return Chunk(head[:4], at + 8, _unpack(order + "I", head[4:])[0])


def _format(stream: BinaryIO, order: str, chunk: Chunk) -> Format:
    if chunk.size < 16:
        raise UnusableError("a WAV file's format must have 16 bytes or more", f"{chunk.size} bytes", "16 bytes or more")
    stream.seek(chunk.start)
    return Format(*_unpack(order + "HHIIHH", stream.read(16)))


def _check_format(form: Format) -> None:
    """Channels and bits tell the size of a frame, and with the rate the bytes per second."""
    frame_size = form.channels * ((form.bits + 7) // 8)
    if frame_size == 0 or form.frame_size != frame_size:
        found = f"{form.frame_size} bytes per frame of {form.channels} channels of {form.bits} bits"
        raise UnusableError("a WAV file's format must agree with itself", found, f"{frame_size} bytes per frame")
    if form.byte_rate != form.rate * frame_size:
        found = f"{form.byte_rate} bytes per second at {form.rate} Hz"
        raise UnusableError("a WAV file's format must agree with itself", found, f"{form.rate * frame_size} bytes")


def check_ogg(file: Path) -> None:
    """Check that an Ogg file ends with the page that is marked as its last; files of other kinds pass.

    Raises:
        UnusableError: the file is cut.
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        if stream.read(4) != b"OggS":
            return
        stream.seek(-min(LONGEST_PAGE, file.stat().st_size), 2)
        page = stream.read()
    page = page[max(page.rfind(b"OggS"), 0) :].ljust(27, b"\0")
    lengths = page[27 : 27 + page[26]]
    if not page[5] & LAST_PAGE or len(page) != 27 + page[26] + sum(lengths):
        raise UnusableError("an Ogg file must reach to its last page", "an end before it", "the whole file")
