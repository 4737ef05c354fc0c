"""What a finished job vouches for: the digests of what it made and of what it made it from, its params, its device.

A receipt lies at the path of the job's log, under results/receipts/ in place of results/logs/. No rule declares it, so
that it can make nothing rerun.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lambdascape.core.errors import InputError
from lambdascape.core.files import file_digest, write_text
from lambdascape.jobs.machine import computed_on

FOLDER, LOGS = "receipts", "logs"
DIGEST = ".sha256"
TEMPORARY = "shards"  # a folder of files that Snakemake deletes once they were read: no receipt names them


@dataclass(frozen=True)
class Receipt:
    """One finished job.

    Attributes:
        params: its params, the fingerprint `code` among them.
        inputs: path to SHA-256 of the files that it read, as far as they are kept.
        outputs: path to SHA-256 of the files that it made.
        device: the GPU that its network computed on, else the processor; empty in receipts of before.

    Paths are those that Snakemake knows, relative to the working directory.
    """

    params: dict[str, Any]
    inputs: dict[str, str]
    outputs: dict[str, str]
    device: str = ""


def receipt_path(log: str | Path) -> Path:
    """Where the receipt of the job with this log lies.

    Raises:
        InputError: the log does not lie in a folder `logs`.
    """
    parts = list(Path(log).parts)
    if LOGS not in parts[:-1]:
        raise InputError(f"a log must lie under results/{LOGS}/; got {log}")
    parts[parts.index(LOGS)] = FOLDER
    return Path(*parts).with_suffix(".json")


def write_receipt(
    path: str | Path, outputs: Iterable[str], inputs: Iterable[str] = (), params: Mapping[str, Any] | None = None
) -> None:
    """Write the receipt of a job; a folder stands in it through the `.sha256` file beside it."""
    receipt = Receipt(dict(params or {}), _digests(inputs), _digests(outputs), computed_on())
    write_text(json.dumps(vars(receipt), indent=1, sort_keys=True) + "\n", path)


def read_receipt(path: str | Path) -> Receipt:
    """Read a receipt.

    Raises:
        InputError: the file is no receipt.
    """
    try:
        return Receipt(**json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise InputError(f"{path}: must be a receipt with params, inputs and outputs; it cannot be read") from None


def read_listing(path: Path) -> dict[Path, str]:
    """File to digest, from a `.sha256` file of `files.write_digest`."""
    rows = (line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines())
    return {path.parent / name: digest for digest, name in rows}


def is_temporary(path: str | Path) -> bool:
    """Whether a product is deleted once it was read."""
    return Path(path).parent.name == TEMPORARY


def _digests(paths: Iterable[str]) -> dict[str, str]:
    return {str(path): _digest(Path(path)) for path in paths if not (is_temporary(path) or Path(path).is_dir())}


def _digest(path: Path) -> str:
    """The digest that was noted beside the file when it was made, which spares reading a large one again."""
    noted = path.with_name(path.name + DIGEST)
    return read_listing(noted)[path] if noted.exists() else file_digest(path)
