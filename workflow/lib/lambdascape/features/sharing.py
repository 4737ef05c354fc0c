"""Finished features in a folder that users share: put there once and whole, checked before they are used."""

import os
import shutil
import socket
import stat
from pathlib import Path

from lambdascape.config.settings import FeatureRecipe
from lambdascape.core import hdf5
from lambdascape.core.disk import require_space
from lambdascape.core.errors import InputError
from lambdascape.core.files import atomic_path, file_digest, left_overs
from lambdascape.core.tsv import iterate_rows, write_rows
from lambdascape.jobs.receipts import DIGEST, read_listing

FEATURES, MANIFEST = "features.h5", "clips.tsv"
READ, WRITE_OF_OTHERS = 0o444, 0o022


def fetch(shared: str, clips: str | Path, settings: FeatureRecipe, output: str | Path) -> None:
    """Link to the shared features of a data set and recipe, after checking that they are whole and of these clips.

    Args:
        shared: the folder of the data set and recipe in the shared store; empty where the config names no store.
        clips: the manifest of the clips.
        settings: the recipe.
        output: the link.

    Raises:
        InputError: the shared features are not there, damaged, or made from other clips or by another recipe.
    """
    if not shared:
        raise InputError(
            f"{output}: must be made here where features_store is null, but is a link to features that were made "
            "elsewhere. Delete it and rerun"
        )
    source = Path(shared).resolve() / FEATURES  # without `..`, so that a working directory can move
    _check(source, clips, settings)
    Path(output).unlink(missing_ok=True)
    Path(output).symlink_to(source)


def share(
    features: str | Path, clips: str | Path, settings: FeatureRecipe, folder: str | Path, output: str | Path
) -> None:
    """Put finished features into a shared store, all at once; what lies there already is never replaced.

    Args:
        features: finished features of this study, their SHA-256 beside them.
        clips: the manifest of the clips.
        settings: the recipe.
        folder: of the data set and recipe in the shared store.
        output: a table of one row that says where they are and whether this job or another user put them there.

    Raises:
        InputError: the place is taken by features of other clips, or the features here are damaged.
    """
    features, shared = Path(features), Path(folder)
    put_here = not shared.exists() and _put([features, _noted(features), Path(clips)], shared)
    if not put_here:
        _check(shared / FEATURES, clips, settings)
    state = "put there by this study" if put_here else "there already, of the same clips"
    write_rows([{"features": str(shared / FEATURES), "state": state}], output)


def _check(features: Path, clips: str | Path, settings: FeatureRecipe) -> None:
    """Stop where shared features are damaged or not those of the clips and the recipe."""
    advice = f"Ask who put it there to delete {features.parent}, or set features_store: null to make the features here"
    check_whole(features, advice)
    check_same_clips(features, clips, settings)


def check_same_clips(features: Path, clips: str | Path, settings: FeatureRecipe) -> None:
    """Stop where shared features were made from other clips or by another recipe.

    Raises:
        InputError: they were, or cannot be read.
    """
    with hdf5.open_checked(features, "features") as file:
        about = hdf5.about(file)
    if about["recipe"] != settings.plain():
        raise InputError(f"{features}: must be made by the recipe {settings.plain()}; it was made by {about['recipe']}")
    if about["manifest"] != file_digest(clips):
        difference = _difference(features, clips)
        raise InputError(
            f"{features}: must be made from the clips of {clips}; it was made from others{difference}. Give your data "
            "set another dataset.name, or set features_store: null to make its features here"
        )


def _difference(features: Path, clips: str | Path) -> str:
    """Where two manifests part, for the message."""
    manifest = features.with_name(MANIFEST)
    if not manifest.is_file():
        return ""
    theirs, ours = (list(iterate_rows(path)) for path in (manifest, clips))
    if len(theirs) != len(ours):
        return f" ({len(theirs):,} clips, here are {len(ours):,})"
    parted = [row["clip"] for row, other in zip(ours, theirs, strict=True) if row != other]
    return f" ({len(parted):,} of {len(ours):,} clips differ, the first is {parted[0]})" if parted else ""


def check_whole(features: Path, remedy: str) -> None:
    """Hold features against the SHA-256 beside them.

    Raises:
        InputError: they are damaged; the message ends with the remedy.
    """
    try:
        whole = file_digest(features) == read_listing(_noted(features))[features]
    except (OSError, ValueError, KeyError):
        whole = False
    if not whole:
        raise InputError(
            f"{features}: must be whole, with the SHA-256 that {_noted(features).name} beside it tells; it is "
            f"damaged. {remedy}"
        )


def _noted(features: Path) -> Path:
    return features.with_name(features.name + DIGEST)


def _put(files: list[Path], folder: Path) -> bool:
    """Copy files into a new folder that gets its name when all are whole; False where another one was quicker.

    A folder that has something in it cannot be replaced by a rename: whoever comes second changes nothing.
    """
    mode = stat.S_IMODE(folder.parents[1].stat().st_mode)
    _make(folder.parent, mode)
    for old in left_overs(folder.parent):
        shutil.rmtree(old, ignore_errors=True)
    require_space(folder.parent, sum(file.stat().st_size for file in files), folder.name)
    temporary = folder.with_name(f".{folder.name}.{socket.gethostname()}-{os.getpid()}")
    try:
        for file in files:
            with atomic_path(temporary / file.name) as copy:
                shutil.copyfile(file, copy)
                copy.chmod(mode & READ)
        check_whole(temporary / FEATURES, f"Delete {files[0]} and rerun")
        temporary.chmod(mode & ~WRITE_OF_OTHERS)
        temporary.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        return False
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


def _make(folder: Path, mode: int) -> None:
    """Make a folder into which the same people can write as into the one above it."""
    try:
        folder.mkdir()
    except FileExistsError:
        return
    folder.chmod(mode)
