"""The training step beside the same step in PyTorch and beside the arithmetic that the machine gives.

Workers of both frameworks take turns in one run, so that all see the same machine. PyTorch lies in an environment that
the benchmark makes, beside the project's own.

    make bench-training
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TORCH = "torch==2.13.0"
SIZES = ((498, 128, 4), (98, 64, 32))  # frames, mel bands, triplets of a step
EPOCH = 2 * 54_964  # triplets of an epoch of DCASE 2018 Task 5, fold 1
GEMM = 2048  # rows and columns


class Worker:
    """A process that answers with seconds.

    Args:
        python: interpreter of its environment.
        script: file beside this one.
        words: its arguments.
        threads: that it may use.
    """

    def __init__(self, python: Path, script: str, words: list[str], threads: int) -> None:
        names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
        environment = os.environ | dict.fromkeys(names, str(threads)) | {"TF_CPP_MIN_LOG_LEVEL": "2"}
        self.process = subprocess.Popen(
            [str(python), str(HERE / script), *words], stdin=-1, stdout=-1, stderr=-3, text=True, env=environment
        )
        self.said = self._line().split("\t")

    def ask(self, word: str) -> float:
        """Let it do something, and how many seconds (or MB) it took."""
        assert self.process.stdin
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return float(self._line())

    def _line(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        if not line:
            raise SystemExit(f"{' '.join(map(str, self.process.args))} ended without an answer")  # type: ignore[arg-type]
        return line


def torch_python(folder: Path) -> Path:
    """The interpreter of an environment with PyTorch, which is made where it is not there."""
    python = folder / "bin/python"
    if not (folder / TORCH).exists():
        print(f"making {folder} with {TORCH}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", TORCH, "numpy"], check=True)
        (folder / TORCH).touch()
    return python


def measure(frames: int, mels: int, batch: int, options: argparse.Namespace, torch: Path) -> dict[str, Any]:
    """One size: medians over rounds in which all workers take their turn."""
    words = [
        f"--{name}={value}" for name, value in (("frames", frames), ("mels", mels), ("batch", batch), ("gemm", GEMM))
    ]
    words.append(f"--precision={options.precision}")
    threads = options.threads
    own = Worker(Path(sys.executable), "step_keras.py", [*words, f"--backend={options.backend}"], threads)
    torches = {
        passes: Worker(torch, "step_torch.py", [*words, f"--threads={threads}", f"--passes={passes}"], threads)
        for passes in ("separate", "joint")
    }
    workers = {"own": own} | torches
    rounds = [
        {(name, word): worker.ask(word) for name, worker in workers.items() for word in ("step", "gemm")}
        for _ in range(options.rounds)
    ]
    seconds = {key: statistics.median(values[key] for values in rounds) for key in rounds[0]}
    gemm = max(2 * GEMM**3 / seconds[name, "gemm"] / 1e9 for name in workers)
    save = statistics.median(own.ask("save") for _ in range(3))
    achieved = float(own.said[1]) / seconds["own", "step"]
    return {
        "tile": f"{frames} x {mels}",
        "triplets": batch,
        "device": own.said[0],
        "seconds": {name: seconds[name, "step"] for name in workers},
        "ratio": {
            name: statistics.median(values[name, "step"] / values["own", "step"] for values in rounds)
            for name in torches
        },
        "triplets_per_s": batch / seconds["own", "step"],
        "gflops": achieved,
        "gemm_gflops": gemm,
        "share_of_gemm": achieved / gemm,
        "peak_mb": {name: worker.ask("peak") for name, worker in workers.items()},
        "epoch_hours": EPOCH / (batch / seconds["own", "step"]) / 3600,
        "checkpoint_s": save,
    }


def shown(row: dict[str, Any]) -> str:
    """The row in words."""
    return (
        f"{row['tile']:>9}  {row['triplets']:>3} triplets  {row['device']}\n"
        f"  step: {row['seconds']['own']:.3f} s; PyTorch {row['seconds']['separate']:.3f} s in separate passes, "
        f"{row['seconds']['joint']:.3f} s in a joint one\n"
        f"  times as fast as PyTorch: {row['ratio']['separate']:.2f} (separate), {row['ratio']['joint']:.2f} (joint)\n"
        f"  {row['gflops']:.0f} GFLOP/s, {row['share_of_gemm']:.2f} of a matrix product's {row['gemm_gflops']:.0f}\n"
        f"  {row['triplets_per_s']:.1f} triplets/s;"
        f" an epoch of DCASE 2018 Task 5, fold 1, extrapolated: {row['epoch_hours']:.1f} h, its checkpoint "
        f"{row['checkpoint_s']:.2f} s\n"
        f"  peak memory {row['peak_mb']['own']:.0f} MB, PyTorch {row['peak_mb']['separate']:.0f} MB"
    )


def main() -> None:
    """Measure all sizes and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=9, help="turns of each worker (default: 9)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="CPU threads (default: all)")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--backend", choices=["tensorflow", "jax"], default="tensorflow")
    parser.add_argument("--batch", type=int, help="triplets of a step (default: few, for a CPU)")
    parser.add_argument("--torch", type=Path, required=True, help="folder of the environment with PyTorch")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    torch = torch_python(options.torch)
    rows = []
    for frames, mels, batch in SIZES:
        rows.append(measure(frames, mels, options.batch or batch, options, torch))
        print(shown(rows[-1]), flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        facts = {"machine": platform.processor() or platform.machine(), "threads": options.threads}
        options.json.write_text(json.dumps(facts | {"precision": options.precision, "sizes": rows}, indent=2))


if __name__ == "__main__":
    main()
