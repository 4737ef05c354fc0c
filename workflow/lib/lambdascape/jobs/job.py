"""What every job of the workflow does around its work: a log, plain error messages, polite threads, a receipt."""

import io
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from lambdascape.core.disk import is_full, shown_bytes
from lambdascape.core.errors import InputError
from lambdascape.jobs import job_locks
from lambdascape.jobs.memory import OUT_OF_MEMORY, is_out_of_memory
from lambdascape.jobs.receipts import is_temporary, receipt_path, write_receipt

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


@contextmanager
def job(
    log: str,
    threads: int = 1,
    outputs: Iterable[str] = (),
    inputs: Iterable[str] = (),
    params: Mapping[str, Any] | None = None,
) -> Iterator[None]:
    """Run the block with everything printed, by C++ too, going to `log`, and the libraries held to `threads` threads.

    While it lasts the job holds its lock, see `job_locks`.

    Import heavy packages inside the block: they read the variables and the descriptors when they start.

    Args:
        log: path of the log file, which is replaced.
        threads: CPU threads that the job was given, at least 1.
        outputs: the files that the block makes, for the receipt; where none is kept there is no receipt. A folder
            counts through its `.sha256` file.
        inputs: the files that it makes them from; temporary ones are left out.
        params: plain values that decide what it makes.

    Raises:
        SystemExit: with status 1; the log ends with the message of an `InputError`, or with a traceback of a defect.
            Where another process runs this very job, standard error names it instead.
    """
    with job_locks.owned(log), _logged(log, threads, outputs, inputs, params):
        yield


@contextmanager
def _logged(
    log: str, threads: int, outputs: Iterable[str], inputs: Iterable[str], params: Mapping[str, Any] | None
) -> Iterator[None]:
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    hold_texts_as_objects()
    with Path(log).open("wb", buffering=0) as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # keeps both descriptors' lines in their order
    started = time.monotonic()
    receipt = None if all(map(is_temporary, outputs)) else receipt_path(log)
    if receipt:
        receipt.unlink(missing_ok=True)  # it speaks of files that are about to be replaced
    try:
        yield
        if receipt:
            write_receipt(receipt, outputs, inputs, params)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(1) from None
    except Exception as error:
        if is_full(error):
            _stop_at_a_full_disk(error, outputs)
        if is_out_of_memory(error):
            print(f"{type(error).__name__}: {error}\nerror: {OUT_OF_MEMORY}", file=sys.stderr, flush=True)
            raise SystemExit(1) from None
        traceback.print_exc()
        raise SystemExit(1) from None
    print(f"done in {time.monotonic() - started:.1f} s", flush=True)


def hold_texts_as_objects() -> None:
    """Let pandas hold texts as Python does, whether or not pyarrow is there.

    Arrow's cannot hold the name of a file that is no UTF-8, and comparing them takes longer in tables as small as ours.
    """
    pd.set_option("mode.string_storage", "python")


def _stop_at_a_full_disk(error: Exception, outputs: Iterable[str]) -> NoReturn:
    """Say so and end at once: HDF5 crashes when Python closes files of which it could not write all."""
    folders = sorted({Path(output).parent for output in outputs if Path(output).parent.exists()}) or [Path()]
    free = ", ".join(f"{shown_bytes(shutil.disk_usage(folder).free)} at {folder}" for folder in folders)
    print(f"{error}\nerror: disk full; free are {free}. Make room, then the same command", file=sys.stderr, flush=True)
    os._exit(1)
