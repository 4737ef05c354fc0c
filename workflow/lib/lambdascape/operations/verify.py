"""Whether the results are whole: every product against the receipt of the job that made it, see `receipts`."""

import socket
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np

from lambdascape.core import hdf5
from lambdascape.core.errors import InputError
from lambdascape.core.files import TEMPORARY, content_digest, file_digest
from lambdascape.core.locks import is_alive
from lambdascape.core.sources import OF_A_FILE
from lambdascape.core.tsv import read_text_table
from lambdascape.embeddings import space_file
from lambdascape.features import store
from lambdascape.jobs import job_locks
from lambdascape.jobs.fingerprint import fingerprints, task
from lambdascape.jobs.receipts import DIGEST, FOLDER, LOGS, Receipt, read_listing, read_receipt
from lambdascape.similarity.space_summary import check_summary

STUDY = "<its file>"  # the study of a product is known, but not under which name its file lies
ANEW = f"`make run STUDY={STUDY}` makes it anew; if it is still named then, delete it first"
MISSING, CHANGED = "missing", "damaged: not the bytes that were made"
NO_PRODUCTS = (LOGS, "benchmarks", "checkpoints", FOLDER, job_locks.FOLDER)
DOWNLOAD = "download"  # of a data set: the md5 of its archive vouches for what lies there
MARKS = (".snakemake_timestamp",)  # Snakemake's own, in the folders that a job makes


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: the path, what is wrong with it, and what to do."""

    path: str
    what: str
    remedy: str


@dataclass(frozen=True)
class Results:
    """The products of a folder of results and what their receipts say.

    Attributes:
        root: the folder, usually `results`.
        receipts: path of a receipt to the receipt.
    """

    root: Path
    receipts: dict[Path, Receipt]

    def place(self, path: str) -> Path:
        """Where a path of a receipt is now; the folder of results may have been moved or renamed."""
        first, *rest = Path(path).parts
        return self.root.joinpath(*rest) if first == "results" else self.root.parent / path

    @cached_property
    def made_by(self) -> dict[Path, Path]:
        """Product to the receipt that vouches for it."""
        return {self.place(path): name for name, receipt in self.receipts.items() for path in receipt.outputs}

    @cached_property
    def digests(self) -> dict[Path, str]:
        """Product to its digest when it was made."""
        return {
            self.place(path): digest for receipt in self.receipts.values() for path, digest in receipt.outputs.items()
        }


def verify(root: str | Path, study: str | None = None, audio: bool = True) -> tuple[list[Fault], int]:
    """Check every product: there, unchanged since it was made, well formed, and made from what is there now.

    Args:
        root: the folder of results.
        study: name of a study, to check it and what it rests on; None checks everything.
        audio: also compare the audio files with the manifests that list them, by `files.content_digest`.

    Returns:
        What is wrong, in order of the paths; the number of products that were checked.

    Raises:
        InputError: the folder holds no results, or none of the study.
    """
    root = Path(root)
    found: list[Fault] = []
    results = Results(root, dict(_read_receipts(root, found)))
    if study is not None:
        results = Results(root, _reached(results, study))
    if not found and not results.receipts:
        asked = "results of the workflow" if study is None else f"results of the study {study!r}"
        raise InputError(f"{root}: must hold {asked} with their receipts; it holds none. `make run` makes them")
    damaged = list(_damaged(results))
    broken = {fault.path for fault in damaged}
    found += damaged
    found += [fault for fault in _stale(results) if fault.path not in broken]
    found += _strangers(results, study)
    if audio:
        found += _changed_audio(results, broken)
    return sorted(found, key=lambda fault: fault.path), len(results.digests)


def _read_receipts(root: Path, found: list[Fault]) -> Iterator[tuple[Path, Receipt]]:
    for path in sorted((root / FOLDER).rglob("[!.]*.json")):
        try:
            yield path, read_receipt(path)
        except InputError:
            found.append(Fault(str(path), "damaged: no receipt that can be read", "delete it, and what it vouched for"))


def _reached(results: Results, study: str) -> dict[Path, Receipt]:
    """The receipts of a study and of all that its products were made from."""
    waiting = [path for path in results.receipts if path.relative_to(results.root / FOLDER).parts[0] == study]
    reached: dict[Path, Receipt] = {}
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached[path] = results.receipts[path]
            inputs = map(results.place, reached[path].inputs)
            waiting += [results.made_by[file] for file in inputs if file in results.made_by]
    return reached


def _command(target: Path) -> str:
    """What makes one product: a plain `make run` leaves out what only finished products were made from."""
    return f"`make run STUDY={STUDY} TARGET={target}`"


def _again(path: Path) -> str:
    return f"delete it, then {_command(path)}"


def _damaged(results: Results) -> Iterator[Fault]:
    """Products that are missing, changed or not well formed."""
    for path, digest in results.digests.items():
        if not path.exists():
            receipt = results.made_by[path]
            yield Fault(str(path), MISSING, f"{_command(path)}; if it is to be gone, delete {receipt} too")
        elif file_digest(path) != digest:
            yield Fault(str(path), CHANGED, _again(path))
        elif path.suffix == ".h5" and not _well_formed(path):
            yield Fault(str(path), "incomplete: no complete HDF5 file of its kind", _again(path))
        elif path.suffix == DIGEST:
            yield from _damaged_parts(path, results.digests)


def _damaged_parts(listing: Path, known: Container[Path]) -> Iterator[Fault]:
    """The files of a folder that one job made, against the listing beside it."""
    folder = listing.with_suffix("")
    for path, digest in read_listing(listing).items():
        if path not in known and not (path.is_file() and file_digest(path) == digest):
            what = CHANGED if path.exists() else MISSING
            yield Fault(str(path), what, f"delete {folder}, then {_command(folder)}")


def _well_formed(path: Path) -> bool:
    """Whether an HDF5 file has the attributes and the numbers of rows of its kind."""
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            schema = file.attrs.get("schema", "weights")
        FORMS[schema](path)
    except (InputError, OSError, KeyError, RuntimeError):
        return False
    return True


def _check_features(path: Path) -> None:
    features = store.open_features(path)
    starts = features.clip_start
    if len(starts) != len(features.clips) + 1 or starts[0] != 0 or starts[-1] != len(features.frames):
        raise InputError(f"{path}: clip_start must lead from 0 to the number of frames, clip by clip; it does not")
    if (np.diff(starts) < 0).any():
        raise InputError(f"{path}: clip_start must never fall; it does")


def _check_embeddings(path: Path) -> None:
    with hdf5.open_checked(path, "embeddings") as file:
        lengths = {len(file[name]) for name in ("embedding", "start_s", *space_file.TILE_COLUMNS)}
    if len(lengths) != 1:
        raise InputError(f"{path}: every dataset must have one row per tile; the numbers of rows are {lengths}")


def _check_weights(path: Path) -> None:
    with h5py.File(path, "r", locking="best-effort") as file:
        file.attrs["about"]


FORMS = {
    "features": _check_features,
    "embeddings": _check_embeddings,
    "similarity": check_summary,
    "weights": _check_weights,
}


def _is_that_of_its_file(done: Mapping[str, str]) -> bool:
    """Whether a task lies in a file of the user that has the same code as when it ran."""
    try:
        return OF_A_FILE in done["name"] and task(done["name"])["code"] == done["code"]
    except InputError:
        return False


def _stale(results: Results) -> Iterator[Fault]:
    """Products that were made from other files, or by other code, than those that are there now."""
    current = fingerprints()
    for receipt in results.receipts.values():
        changed = [path for path, digest in receipt.inputs.items() if _now(results, path, digest) != digest]
        done = receipt.params.get("task", {})
        if changed:
            what = f"stale: made from another {changed[0]}"
        elif done and done["code"] not in current and not _is_that_of_its_file(done):
            what = "stale: made by other code than this checkout's"
        else:
            continue
        products = [results.place(path) for path in receipt.outputs if not path.endswith(DIGEST)]
        yield from (Fault(str(product), what, ANEW) for product in products)


def _now(results: Results, path: str, default: str) -> str:
    """The digest that an input should have now: a damaged one is told once, a deleted one proves nothing."""
    place = results.place(path)
    if place in results.digests:
        return results.digests[place]
    return file_digest(place) if place.is_file() else default


def _strangers(results: Results, study: str | None) -> Iterator[Fault]:
    """Files that no finished job vouches for, and what killed ones left over."""
    vouched = set(results.digests)
    vouched |= {part for path in results.digests if path.suffix == DIGEST and path.exists() for part in _parts(path)}
    folders = {path.parent for path in results.digests}
    temporary = set()
    for path in sorted(results.root.rglob("*")):
        written = next((part for part in (path, *path.parents) if TEMPORARY.fullmatch(part.name)), None)
        if written:
            temporary.add(written)
        elif _is_product(results, path) and path not in vouched and (study is None or path.parent in folders):
            yield Fault(
                str(path),
                "unfinished: no receipt of a finished job names it",
                f"delete it, then `make run STUDY={STUDY}`",
            )
    yield from map(_left_over, temporary)


def _parts(listing: Path) -> list[Path]:
    try:
        return list(read_listing(listing))
    except (ValueError, UnicodeDecodeError):
        return []


def _is_product(results: Results, path: Path) -> bool:
    place = path.relative_to(results.root).parts
    downloaded = place[0] == "datasets" and place[2:3] == (DOWNLOAD,)
    watched = "tensorboard" in place  # event files, which grow while a training goes on
    no_product = place[0] in NO_PRODUCTS or downloaded or watched or path.name in MARKS
    return path.is_file() and len(place) > 1 and not no_product


def _left_over(path: Path) -> Fault:
    """A name under which something was being written."""
    match = TEMPORARY.fullmatch(path.name)
    assert match
    host, process = match["host"], match["process"]
    if host == socket.gethostname() and not is_alive(int(process)):
        return Fault(str(path), f"left over by process {process}, which has ended", "delete it")
    return Fault(str(path), f"being written by process {process} on {host}", "wait; if it runs no more, delete it")


def _changed_audio(results: Results, broken: Container[str]) -> Iterator[Fault]:
    """Manifests that list other audio than is there; audio made here has its listing, and no audio proves nothing."""
    for receipt in results.receipts.values():
        manifests = [results.place(path) for path in receipt.outputs if path.endswith("/clips.tsv")]
        if not manifests:
            continue
        folder = results.place(receipt.params.get("root", "results"))
        if folder.is_relative_to(results.root) or not folder.is_dir():
            continue
        for manifest in (path for path in manifests if str(path) not in broken):
            clips = read_text_table(manifest)
            rows = zip(clips["path"], clips["content"], strict=True)
            changed = [folder / path for path, content in rows if not _listed(folder / path, content)]
            if changed:
                what = f"stale: lists {len(changed)} audio files that changed or are gone, the first is {changed[0]}"
                yield Fault(str(manifest), what, _again(manifest))


def _listed(path: Path, content: str) -> bool:
    return path.is_file() and content_digest(path) == content
