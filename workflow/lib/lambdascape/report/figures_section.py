"""The figures of the report: each inlined, with its caption, how to read it, and the files of its numbers."""

import base64
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from docutils.core import publish_parts
from markupsafe import Markup

from lambdascape.core.errors import InputError

LARGEST_SVG = 1_500_000  # bytes; a larger drawing is shown as its PNG
LITERAL = re.compile(r'<(?:span|code|tt) class="docutils literal">(.*?)</(?:span|code|tt)>', re.DOTALL)
ORIGIN = re.compile(r"\s*From\s((?:(?!From\s).)*)</p>\s*$", re.DOTALL)  # the last sentence of a caption
FIRST_SENTENCE = re.compile(r"(<p><strong>.*?</strong>.*?[.?!](?:\s|$))(.*)", re.DOTALL)


@dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Attributes:
        name: of the figure.
        title: what it shows, in words.
        source: address of the image.
        alt: text in its place.
        lead: the first sentence of its caption.
        rest: the rest, which says how to read it; empty where there is none.
        origin: which files its numbers come from; empty where the caption does not end with it.
        files: kind and address of its files beside the report.
        wide: whether it needs the whole width.
    """

    name: str
    title: str
    source: str
    alt: str
    lead: Markup
    rest: Markup
    origin: Markup
    files: list[tuple[str, str]]
    wide: bool


def pictures(
    figures: Mapping[str, str | Path],
    words: Mapping[str, Mapping[str, Any]],
    output: str | Path,
    places: Mapping[str, str | Path],
    numbers: str,
) -> dict[str, Picture]:
    """The figures by name.

    Args:
        figures: name to path of the SVG, its PNG beside it.
        words: name to `title`, `caption` (reStructuredText) and `wide` of every figure, see `declarations.figure`.
        output: path of the report, from which links lead to files.
        places: name to path of files that captions name and that are outside the study's folder, such as `clips.tsv`.
        numbers: the scores in words, for who cannot see the main figure.

    Raises:
        InputError: a caption cannot be read.
    """
    away = {name: _relative(path, output) for name, path in places.items()}
    found = {}
    for name, path in figures.items():
        title = str(words[name]["title"])
        caption = caption_html(words[name]["caption"], name)
        lead, rest, origin = parted(linked(caption, lambda literal: _address(literal, away)))
        svg = Path(path)
        files = [(kind, _relative(svg.with_suffix(f".{kind.lower()}"), output)) for kind in ("SVG", "PNG")]
        alt = f"{title}. {numbers if name == 'response' else ''}".strip()
        found[name] = Picture(name, title, _inlined(svg), alt, lead, rest, origin, files, bool(words[name]["wide"]))
    return found


def _relative(path: str | Path, output: str | Path) -> str:
    return Path(os.path.relpath(path, Path(output).parent)).as_posix()


def _address(words: str, away: Mapping[str, str]) -> str:
    """Path from the report to a file that a caption names; empty if it is none."""
    if re.fullmatch(r"(tables|similarity)/\w+\.tsv|embeddings/", words):
        return f"../{words}"
    return away.get(words, "")


def linked(caption: Markup, address: Callable[[str], str]) -> Markup:
    """A caption whose literals are links where `address` knows one; without the file only its name is shown.

    Args:
        caption: HTML of `caption_html`.
        address: literal text to an address, or to nothing.
    """

    def link(match: re.Match[str]) -> str:
        words = re.sub("<[^>]+>", "", match[1])
        to = address(words)
        return f'<a href="{to}"><code>{words}</code></a>' if to else f"<code>{words}</code>"

    return Markup(LITERAL.sub(link, str(caption)))


def parted(caption: Markup) -> tuple[Markup, Markup, Markup]:
    """The first sentence of a caption, what follows, and the last one where that names the files of the numbers."""
    words = str(caption).rstrip()
    last = ORIGIN.search(words)
    origin = Markup(f"From {last[1].rstrip()} ") if last else Markup("")
    words = words[: last.start()] + "</p>" if last else words
    first = FIRST_SENTENCE.match(words)
    if not first or first[2].strip() in ("", "</p>"):
        return Markup(words), Markup(""), origin
    return Markup(f"{first[1].rstrip()}</p>"), Markup(f"<p>{first[2]}"), origin


def _inlined(svg: Path) -> str:
    """A data URL that contains the drawing; an image runs no script, whatever its labels contain."""
    if svg.stat().st_size > LARGEST_SVG:
        return _png(svg)
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.read_bytes()).decode()}"


def _png(svg: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(svg.with_suffix('.png').read_bytes()).decode()}"


def lighter(shown: Mapping[str, Picture], figures: Mapping[str, str | Path], excess: int) -> dict[str, Picture]:
    """The pictures, with the PNG in place of the largest drawings until `excess` characters are saved or none can be.

    Args:
        shown: what `pictures` found.
        figures: name to path of the SVG, its PNG beside it.
        excess: characters of the page that are too many.
    """
    found = dict(shown)
    for name in sorted(found, key=lambda one: len(found[one].source), reverse=True):
        if excess <= 0:
            break
        png = _png(Path(figures[name]))
        if (saved := len(found[name].source) - len(png)) > 0:
            found[name] = replace(found[name], source=png)
            excess -= saved
    return found


def caption_html(caption: str, name: str) -> Markup:
    """A caption in reStructuredText as a piece of HTML; it can include no file and no raw HTML.

    Raises:
        InputError: the text breaks the rules of reStructuredText.
    """
    settings = {
        "file_insertion_enabled": False,
        "raw_enabled": False,
        "_disable_config": True,
        "report_level": 2,
        "halt_level": 2,
        "warning_stream": False,
        "traceback": True,
        "doctitle_xform": False,
        "smart_quotes": False,
    }
    try:
        parts = publish_parts(caption, writer="html5", settings_overrides=settings)
    except Exception as error:
        raise InputError(f"the caption of {name} must be reStructuredText; {error}") from None
    return Markup(parts["body"])
