"""`lambdascape plan`: what Snakemake would start for a study, and what that asks for, as text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lambdascape.operations.plan.audio_volume import extent_of
from lambdascape.operations.plan.disk_usage import rooms
from lambdascape.operations.plan.history import History
from lambdascape.operations.plan.planned_jobs import planned_jobs
from lambdascape.operations.plan.text import bill
from lambdascape.study.paths import Study
from lambdascape.study.validation import check

PROFILE = Path("profiles/slurm")


def plan(
    config: dict[str, Any],
    overlays: Sequence[Path],
    profile: Path | None = None,
    everything: bool = False,
    results: Path = Path("results"),
) -> str:
    """Say what a study asks of a cluster.

    Args:
        config: the whole config, overlays laid over it.
        overlays: the files that were laid over the default one, for Snakemake.
        profile: folder of Snakemake's profile; None takes `PROFILE` where it is there.
        everything: as if nothing were made already.
        results: the folder with what was measured.

    Returns:
        The text.

    Raises:
        InputError: the config cannot be used, or Snakemake cannot plan the study.
    """
    study = Study(check(config), ".", [str(file) for file in overlays])
    profile = profile or (PROFILE if PROFILE.is_dir() else None)
    asked = planned_jobs(_command(profile, overlays, everything))
    extent = extent_of(study.settings, study.clips, study.settings.triplets.tile_s)
    title = (
        f"Study {study.name}: {len(study.runs)} networks, {len(study.spaces)} spaces; "
        f"{'as if nothing were made' if everything else 'what is made already is left out'}; "
        f"{f'profile {profile}' if profile else 'no profile of a cluster'}"
    )
    return "\n".join(bill(title, asked, History(results).estimates(study, asked, extent), extent, rooms(study, extent)))


def _command(profile: Path | None, overlays: Sequence[Path], everything: bool) -> list[str]:
    """The command line of Snakemake that would run the study."""
    words = ["--profile", str(profile)] if profile else ["--cores", "all"]
    words += ["--forceall"] if everything else []
    return words + (["--configfile", *map(str, overlays)] if overlays else [])
