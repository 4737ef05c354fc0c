"""`lambdascape plan`: what Snakemake would start for a study, and what that asks for, as text."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lambdascape.core.errors import InputError
from lambdascape.operations.plan.audio_volume import extent_of
from lambdascape.operations.plan.disk_usage import rooms
from lambdascape.operations.plan.history import History
from lambdascape.operations.plan.planned_jobs import local_rules, read_dry_run
from lambdascape.operations.plan.text import bill
from lambdascape.study.paths import Study
from lambdascape.study.validation import check

PROFILE = Path("profiles/slurm")
RULES = Path(__file__).parents[4] / "rules"


def plan(
    config: dict[str, Any],
    overlays: Sequence[Path],
    profile: Path | None = None,
    everything: bool = False,
    jobs: str | None = None,
    results: Path = Path("results"),
) -> str:
    """Say what a study asks of a cluster.

    Args:
        config: the whole config, overlays laid over it.
        overlays: the files that were laid over the default one, for Snakemake.
        profile: folder of Snakemake's profile; None takes `PROFILE` where it is there.
        everything: as if nothing were made already.
        jobs: a file with what `snakemake --dry-run` printed, `-` for standard input; None runs it here.
        results: the folder with what was measured.

    Returns:
        The text.

    Raises:
        InputError: the config cannot be used, the dry run fails, or what it printed cannot be read.
    """
    study = Study(check(config), ".", [str(file) for file in overlays])
    profile = profile or (PROFILE if PROFILE.is_dir() else None)
    printed = _printed(jobs) if jobs else _dry_run(profile, overlays, everything)
    asked = read_dry_run(printed, local_rules(path.read_text(encoding="utf-8") for path in sorted(RULES.glob("*.smk"))))
    extent = extent_of(study.config, study.clips, study.settings.triplets.tile_s)
    title = (
        f"Study {study.name}: {len(study.runs)} networks, {len(study.spaces)} spaces; "
        f"{'as if nothing were made' if everything else 'what is made already is left out'}; "
        f"{f'profile {profile}' if profile else 'no profile of a cluster'}"
    )
    return "\n".join(bill(title, asked, History(results).estimates(study, asked, extent), extent, rooms(study, extent)))


def _printed(jobs: str) -> str:
    try:
        return sys.stdin.read() if jobs == "-" else Path(jobs).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--jobs: must be a readable text; {error}") from None


def _dry_run(profile: Path | None, overlays: Sequence[Path], everything: bool) -> str:
    words = [sys.executable, "-m", "snakemake", "--dry-run"]
    words += ["--profile", str(profile)] if profile else ["--cores", "all"]
    words += ["--forceall"] if everything else []
    words += ["--configfile", *map(str, overlays)] if overlays else []
    run = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if run.returncode:
        raise InputError(f"Snakemake's dry run must end well; it ended with\n{run.stdout.strip()}")
    return run.stdout
