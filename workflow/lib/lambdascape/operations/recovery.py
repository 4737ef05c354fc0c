"""After a crash: end what a killed launch left running, open what it left locked, remove what it left half-written."""

import shutil
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

from lambdascape.core import locks
from lambdascape.core.errors import InputError
from lambdascape.operations import clock_skew, launch_lock, orphans

POLL_S = 1.0
TELL_S = 60.0  # between two words about what is waited for
CANCEL_S = 120.0  # that SLURM may take to end a job
Found = TypeVar("Found")


def recover(folder: Path, wait: bool = False, ended: Collection[str] = (), show: Callable[[str], None] = print) -> bool:
    """Make the next launch in a folder safe; a launch that runs is left alone.

    Args:
        folder: the working directory of the workflow.
        wait: let jobs that go on finish, instead of ending them.
        ended: machines of which the user says that nothing runs there any more.
        show: takes each line of what is found and done.

    Returns:
        Whether the next launch can begin.

    Raises:
        InputError: SLURM ran jobs of the launch that was killed, and does not answer.
    """
    results = folder.absolute() / "results"
    if not results.is_dir():
        show("There are no results here, and nothing to recover.")
        return True
    lock = launch_lock.take(results)
    if lock is None:
        show(launch_lock.refused(launch_lock.owner(results)))
        return False
    with locks.released(lock):
        last = launch_lock.read(results)
        state = launch_lock.state_of(last)
        if last and (state == launch_lock.ALIVE or (state == launch_lock.UNKNOWN and last.host not in ended)):
            show(launch_lock.in_the_way(results))
            return False
        killed = last if state != launch_lock.ENDED else None
        if killed:
            show(f"A launch was killed: {killed}")
        places = launch_lock.folders(results, last)
        asked = _queue_counts(places, last)
        if asked and not _clear_queue(places, last, wait, show):
            return False
        if not _clear_processes(places, wait, show):
            return False
        _clean(results, bool(ended) or (asked and bool(orphans.run_ids(places))), show)
        if killed:
            launch_lock.write(results, launch_lock.closed(killed))
    show("Nothing is in the way: the same command as before continues.")
    return True


def _queue_counts(folders: Collection[Path], last: launch_lock.Launch | None) -> bool:
    """Whether SLURM must be asked.

    A launch that ended by itself has cancelled its jobs; where SLURM does not answer, that is believed.
    """
    if not (last and last.ended):
        return True
    try:
        orphans.queued(folders, last.began)
    except InputError:
        return False
    return True


def _clear_queue(
    folders: Collection[Path], last: launch_lock.Launch | None, wait: bool, show: Callable[[str], None]
) -> bool:
    """End, or wait for, what a launch has left in SLURM's queue; whether nothing is left there."""
    since = last.began if last else 0.0
    return _clear(lambda: orphans.queued(folders, since), orphans.cancel, CANCEL_S, wait, show)


def _clear_processes(folders: Collection[Path], wait: bool, show: Callable[[str], None]) -> bool:
    """End, or wait for, the processes of this machine that a killed launch left; whether none is left."""
    return _clear(lambda: orphans.here(folders), orphans.stop, 0.0, wait, show)


def _clear(
    look: Callable[[], Sequence[Found]],
    end: Callable[[Sequence[Found]], object],
    limit_s: float,
    wait: bool,
    show: Callable[[str], None],
) -> bool:
    """Say what goes on, end it or wait for it; whether it has ended, for which there is a limit without `wait`."""
    found = look()
    for orphan in found:
        show(f"{'Waiting for' if wait else 'Ending'} {orphan}")
    if found and not wait:
        end(found)
    started = told = time.monotonic()
    while found and (found := look()):
        now = time.monotonic()
        if not wait and now - started >= limit_s:
            show("They have not ended: " + "; ".join(map(str, found)))
            return False
        if now - told >= TELL_S:
            told = now
            show(f"Still waiting, for {len(found)}")
        time.sleep(POLL_S)
    return True


def _clean(results: Path, elsewhere: bool, show: Callable[[str], None]) -> None:
    """Open Snakemake's locks, remove what is half-written, mend dates in the future.

    `elsewhere` says that nothing runs on other machines, be it that SLURM's queue is empty.
    """
    from lambdascape.core.files import left_overs

    if launch_lock.unlock(results.parent):
        show("Removed Snakemake's own locks.")
    half_written = list(left_overs(results, elsewhere))
    for path in half_written:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        show(f"Removed, half-written: {path.relative_to(results.parent)}")
    ahead = clock_skew.ahead(results, (results / launch_lock.LOCK).stat().st_mtime)
    if ahead:
        show(f"Dated now, {len(ahead)} files that were dated in the future, by up to {ahead[0][1]:,.0f} s.")
    clock_skew.redate(ahead)
