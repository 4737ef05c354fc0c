"""The lock that each job holds while it runs: no two processes make the same products, and `recover` finds survivors.

A lock lies at the path of the job's log, under results/locks/ in place of results/logs/. It is a lock of the kernel,
which frees it however its holder ends.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from lambdascape.core import locks
from lambdascape.jobs.receipts import LOGS

FOLDER = "locks"
WAIT_S = 5.0  # for a job that was told to end, such as one over its time
POLL_S = 0.2


def lock_path(log: str | Path) -> Path | None:
    """Where the lock of the job with this log lies; None where the log lies in no folder `logs`."""
    parts = list(Path(log).parts)
    if LOGS not in parts[:-1]:
        return None
    parts[parts.index(LOGS)] = FOLDER
    return Path(*parts).with_suffix(".lock")


@contextmanager
def owned(log: str | Path) -> Iterator[None]:
    """Hold the lock of a job while the block lasts.

    Args:
        log: the job's log; it belongs to the holder, so that a refusal is not written there.

    Raises:
        SystemExit: with status 1, after a message on standard error; another process makes the same products, or the
            lock cannot be written.
    """
    path = lock_path(log)
    if path is None:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = _wait_for(path)
    except OSError as error:
        _stop(f"a job must be able to lock {path}; {error.strerror}")
    if stream is None:
        _stop(
            f"one process at a time may make what {log} is the log of; {locks.holder(path) or 'another one'} does. "
            "Wait for it, or end it by `lambdascape recover`"
        )
    with locks.released(stream):
        yield


def _stop(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr, flush=True)
    raise SystemExit(1)


def _wait_for(path: Path) -> IO[str] | None:
    started = time.monotonic()
    # Whoever may write the results may take over a lock that a killed job left.
    while (stream := locks.take(path, 0o666)) is None and time.monotonic() - started < WAIT_S:
        time.sleep(POLL_S)
    return stream


def held(results: Path) -> dict[Path, locks.Holder]:
    """The locks below a folder of results that are held, or may be on another machine, with their holders."""
    found = {path: locks.holder(path) for path in sorted((results / FOLDER).rglob("*.lock"))}
    return {path: holder for path, holder in found.items() if holder}
