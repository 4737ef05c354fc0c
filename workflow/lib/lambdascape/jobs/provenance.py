"""Where a result comes from: versions, the commit, digests of settings and files."""

import hashlib
import json
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "snakemake",
    "tensorflow",
    "keras",
    "jax",
    "numpy",
    "scipy",
    "pandas",
    "h5py",
    "librosa",
    "scikit-learn",
    "seaborn",
    "matplotlib",
    "bokeh",
    "umap-learn",
    "soundfile",
)


def contents(*places: str) -> str:
    """Digest of what stands in files of the checkout, or in all files of folders of it.

    For `params`, beside an input whose date is not looked at: a fresh clone is younger than any result.

    Args:
        places: paths of files and folders; without any, the digest of nothing.

    Returns:
        16 hexadecimal digits.
    """
    files = [file for place in map(Path, places) for file in (sorted(place.rglob("*")) if place.is_dir() else [place])]
    read = [file.read_bytes() for file in files if file.is_file()]
    return hashlib.sha256(b"".join(hashlib.sha256(text).digest() for text in read)).hexdigest()[:16]


def settings_digest(settings: Any) -> str:
    """Digest of plain settings (numbers, text, lists, dicts), the same in every process; 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that make the numbers, read without importing them."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}


def git_state(folder: str | Path) -> str:
    """Commit of the checkout at `folder`, with `, with changes` where files differ from it, or `no git checkout`."""
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        return commit + (", with changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "no git checkout"


def _git(folder: str | Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout.strip()
