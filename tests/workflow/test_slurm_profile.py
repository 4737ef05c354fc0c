"""What profiles/slurm says fits the rules; no cluster is needed to hold it to them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cluster.heads import make_site_profile
from support.checkouts import Checkout

LISTED = """\
import json
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings

with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
    workflow = api.workflow(ResourceSettings(cores=1), snakefile=Path("Snakefile"))._workflow
    found = {}
    for rule in workflow.rules:
        asked = {name: rule.resources[name].value for name in ("mem_mb", "runtime", "gpu") if name in rule.resources}
        light, own = rule.norun or rule.name in workflow._localrules, rule.group or rule._restart_times
        found[rule.name] = asked | {"light": light, "own": own}
print("RULES" + json.dumps(found))
"""


def test_every_rule_is_light_or_has_its_numbers_in_the_profile(repo: Path) -> None:
    """A new rule must be thought of: `localrule: True` where it takes seconds, else a line in the profile.

    There the first try asks for what the rule says and each later one for more.
    """
    run = subprocess.run([sys.executable, "-c", LISTED], cwd=repo, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    rules = json.loads(run.stdout.split("RULES")[1])
    assert not any(rule["own"] for rule in rules.values())  # no group, no retries
    profile = yaml.safe_load((repo / "profiles/slurm/profile.yaml").read_text())
    assert profile["retries"] >= 1
    assert not {"groups", "group-components", "slurm-array-jobs", "slurm-requeue"} & set(profile)
    assert set(profile["set-resources"]) == {name for name, rule in rules.items() if not rule["light"]}
    for name, asked in profile["set-resources"].items():
        for resource in ("mem_mb", "runtime"):
            assert asked[resource] == f"{rules[name][resource]} * attempt", name
        assert (asked.get("slurm_partition") == "gpu") == (rules[name].get("gpu") == 1), name


def test_the_plan_needs_no_slurm(finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no program of SLURM can be found, nor a cluster reached."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "bash", "which", "env", "python"):
        found = next((path for path in (Path("/usr/bin") / name, Path("/bin") / name) if path.exists()), None)
        if found:
            (programs / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(programs))
    assert finished.planned("--profile", "profiles/slurm") == {}
    checkout = finished.copy_to(tmp_path / "checkout")
    make_site_profile(checkout)
    with checkout.edited("tiny.yaml", "seeds: [1]", "seeds: [1, 2]"):
        assert checkout.planned("--profile", "profiles/site")["train_model"] == 2
