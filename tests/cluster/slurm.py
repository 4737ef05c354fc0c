"""A real SLURM on this one machine: a controller and two nodes with GPUs that are none, on the loopback alone.

Tests start and end it, as root, with slurm-wlm and munge installed.
"""

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

NEEDED = ("munged", "munge", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "runuser")
NODES = ("n1", "n2")
GPUS = 4
# The plugin hides SLURM_CONF from the jobs' inner srun, which then looks here.
FOLDER = Path("/etc/slurm")
FILES = (FOLDER / "slurm.conf", FOLDER / "gres.conf")
MARK = "# Written by lambdascape's tests/cluster/slurm.py, which removes it again."
# Partitions are not named as in profiles/slurm, so that a test has to do what a site does.
CONFIG = """\
{mark}
ClusterName=lambdascape
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={state}/munge/socket
CredType=cred/munge
StateSaveLocation={state}/controller
SlurmdSpoolDir={state}/spool.%n
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd.%n.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd.%n.log
# Containers have no control groups to spare: processes are followed by their parents, memory is asked for every 2 s.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=UsePss,OverMemoryKill
# No database of jobs: the controller itself remembers finished ones, far longer than the plugin's pauses.
AccountingStorageType=accounting_storage/none
MinJobAge=7200
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# Nodes may claim more than this machine has.
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=0,sched_min_interval=100000
DefMemPerCPU=100
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=10
InactiveLimit=0
KillWait=3
UnkillableStepTimeout=20
MessageTimeout=10
GresTypes=gpu
NodeName=DEFAULT CPUs=6 RealMemory=100000 Gres=gpu:{gpus} State=UNKNOWN
{nodes}
PartitionName=DEFAULT Nodes={names} LLN=YES State=UP MaxTime=1-00:00:00 DefaultTime=00:05:00
PartitionName=work Default=YES
PartitionName=cards
"""


class UnusableError(Exception):
    """This machine cannot have the cluster, and why."""


def why_not() -> str:
    """What is missing for a cluster here; empty where nothing is."""
    missing = [command for command in NEEDED if not shutil.which(command, path=search_path())]
    if missing:
        return f"needs slurm-wlm and munge, which have {', '.join(missing)} (apt-get install slurm-wlm munge)"
    if os.getuid():
        return "needs root, for /etc/slurm/slurm.conf and the nodes"
    foreign = [str(path) for path in FILES if path.exists() and MARK not in path.read_text()]
    return f"{' and '.join(foreign)} is another cluster's and stays as it is" if foreign else ""


def search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def run(*command: str, check: bool = True, timeout: float = 60) -> str:
    """What a command of SLURM prints."""
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, env={**environment(), "LC_ALL": "C"}
    )
    if check and ran.returncode:
        raise UnusableError(f"{' '.join(command)} ended with {ran.returncode}: {(ran.stderr or ran.stdout).strip()}")
    return ran.stdout


def environment() -> dict[str, str]:
    """That of this process without what would lead to another cluster."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_", "SRUN_"))}
    return kept | {"PATH": search_path()}


def wait_until(condition: Callable[[], object], what: str, within_s: float = 60, pause_s: float = 0.2) -> None:
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"after {within_s:g} s still waiting for {what}")
        time.sleep(pause_s)


def descendants(process: int) -> list[int]:
    """A process and all that it started, the youngest first."""
    found: list[int] = []
    try:
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        children = []
    for child in children:
        found += descendants(child)
    return [*found, process]


def words_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


class Slurm:
    """The cluster; one at a time on a machine.

    Args:
        state: folder of its logs, keys and memory; short, for a socket lies in it, and open to the user of munge.
    """

    def __init__(self, state: Path | None = None) -> None:
        self.state = state or Path(tempfile.gettempdir()) / "lambdascape-slurm"

    @contextmanager
    def alone(self, within_s: float = 900) -> Iterator[None]:
        """Wait until no other test has the cluster, and keep it for as long as the block lasts."""
        with (self.state.parent / f"{self.state.name}.lock").open("w") as stream:

            def taken() -> bool:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
                return True

            wait_until(taken, "another test to give the cluster back", within_s, pause_s=1)
            yield

    def up(self) -> None:
        """Start it afresh; what an earlier one left over is ended first.

        Raises:
            UnusableError: something is missing or does not start.
        """
        if reason := why_not():
            raise UnusableError(reason)
        self.down()
        for name in ("munge", "controller", "gpus"):
            (self.state / name).mkdir(parents=True)
        self.state.chmod(0o755)
        self._configure()
        self._start_munge()
        run("slurmctld")
        self._wait(lambda: "UP" in run("scontrol", "ping", check=False), "the controller to answer", "slurmctld.log")
        for node in NODES:
            self.start_node(node)

    def down(self) -> None:
        """End the jobs and every process that `up` started, and remove what it wrote."""
        if not self.state.exists():
            return
        if self._pid("slurmctld.pid", "slurmctld"):
            numbers = run("squeue", "-h", "-o", "%A", check=False).split()
            if numbers:
                run("scancel", *numbers, check=False)
                ended = ["squeue", "-h", "-o", "%A", "-t", "R,S,CG,CF"]
                with suppress(TimeoutError):
                    wait_until(lambda: not run(*ended, check=False).strip(), "cancelled jobs to end", 30)
        for node in NODES:
            self._end(f"slurmd.{node}.pid", "slurmd")
        self._end("slurmctld.pid", "slurmctld")
        self._end("munge/pid", "munged")
        for path in FILES:
            if path.exists() and MARK in path.read_text():
                path.unlink()
        shutil.rmtree(self.state)

    def start_node(self, node: str) -> None:
        """Start a node, also one that crashed, unless it runs; and wait until it takes jobs."""
        (self.state / f"spool.{node}").mkdir(exist_ok=True)
        if not self._pid(f"slurmd.{node}.pid", "slurmd"):
            run("slurmd", "-N", node)
        usable = ("idle", "mixed", "allocated", "completing")
        state = ["sinfo", "-h", "-N", "-n", node, "-o", "%T"]
        log = f"slurmd.{node}.log"
        self._wait(lambda: run(*state, check=False).split()[:1] in [[word] for word in usable], f"{node} to be up", log)

    def crash(self, node: str) -> list[int]:
        """Kill a node with everything that runs on it, as a power cut does.

        Returns:
            The processes of jobs that were killed.
        """
        daemon = self._pid(f"slurmd.{node}.pid", "slurmd")
        assert daemon, f"{node} is not up"
        os.kill(daemon, signal.SIGKILL)
        numbers = set(run("squeue", "-h", "-w", node, "-o", "%A").split())
        killed = []
        for keeper in self._keepers():
            number = re.search(r"\[(\d+)\.", words_of(keeper))
            if number and number[1] in numbers:
                killed += descendants(keeper)
        for process in killed:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return killed

    def jobs(self) -> list[dict[str, str]]:
        """What the controller knows of every job since `up`: the fields of `scontrol show job -d`, oldest first."""
        records = run("scontrol", "show", "job", "-d", "-o", check=False).splitlines()
        found = [dict(re.findall(r"(\w+)=(\S*)", record)) for record in records if "JobId=" in record]
        return sorted(found, key=lambda job: int(job["JobId"]))

    def _configure(self) -> None:
        with ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in range(len(NODES) + 1)]
            for each in sockets:
                each.bind(("127.0.0.1", 0))
            port, *others = (each.getsockname()[1] for each in sockets)
        lines = [
            f"NodeName={node} NodeHostname=localhost NodeAddr=127.0.0.1 Port={number}"
            for node, number in zip(NODES, others, strict=True)
        ]
        names = ",".join(NODES)
        text = CONFIG.format(mark=MARK, port=port, state=self.state, gpus=GPUS, names=names, nodes="\n".join(lines))
        # A card must be a device of this machine; this one is always there.
        cards = [self.state / "gpus" / f"card{number}" for number in range(GPUS)]
        for card in cards:
            card.symlink_to("/dev/null")
        FOLDER.mkdir(exist_ok=True)
        cards_of_nodes = f"NodeName={names} Name=gpu File={cards[0].parent}/card[0-{GPUS - 1}]"
        for path, lines_of in zip(FILES, (text, f"{MARK}\nAutoDetect=off\n{cards_of_nodes}\n"), strict=True):
            path.write_text(lines_of)

    def _start_munge(self) -> None:
        folder = self.state / "munge"
        (folder / "key").write_bytes(os.urandom(128))
        (folder / "key").chmod(0o400)
        for path in (folder, folder / "key"):
            shutil.chown(path, "munge", "munge")
        names = ("key", "socket", "pid", "log", "seed")
        options = [f"--{name}{'' if name == 'socket' else '-file'}={folder / name}" for name in names]
        run("runuser", "-u", "munge", "--", "munged", *options)
        wait_until(lambda: (folder / "socket").exists(), "munge to listen", 10)

    def _wait(self, condition: Callable[[], object], what: str, log: str) -> None:
        try:
            wait_until(condition, what, 40)
        except TimeoutError as error:
            path = self.state / log
            said = "\n".join(path.read_text().splitlines()[-8:]) if path.exists() else "nothing"
            raise UnusableError(f"{error}; {path} ends with:\n{said}") from None

    def _pid(self, file: str, name: str) -> int:
        """The process that a file names, if it still is that program; else 0."""
        try:
            process = int((self.state / file).read_text().split()[0])
            return process if Path(f"/proc/{process}/comm").read_text().strip() == name else 0
        except (OSError, ValueError, IndexError):
            return 0

    def _end(self, file: str, name: str) -> None:
        process = self._pid(file, name)
        if not process:
            return
        os.kill(process, signal.SIGTERM)
        try:
            wait_until(lambda: not self._pid(file, name), f"{name} to end", 10)
        except TimeoutError:
            os.kill(process, signal.SIGKILL)

    def _keepers(self) -> list[int]:
        """The processes that keep the steps of jobs."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "comm").read_text().strip() == "slurmstepd":
                    found.append(int(folder.name))
            except OSError:
                continue
        return found
