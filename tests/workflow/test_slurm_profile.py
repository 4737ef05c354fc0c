"""What profiles/slurm says fits the rules; no cluster is needed to hold it to them."""

import re
from pathlib import Path

import pytest
import yaml

from cluster.heads import make_site_profile
from support.checkouts import Checkout

REPO = Path(__file__).resolve().parents[2]
PROFILE = yaml.safe_load((REPO / "profiles/slurm/profile.yaml").read_text())
BLOCKS = [
    block
    for path in sorted((REPO / "workflow/rules").glob("*.smk"))
    for block in re.split(r"^(?=(?:use )?rule )", path.read_text(), flags=re.MULTILINE)
    if re.match("(use )?rule ", block)
]


def name_of(block: str) -> str:
    """A rule made of another (`use rule … as …`) is not light because that one is."""
    return re.split("rule | as ", block.split(":")[0].removesuffix(" with"))[-1]


def test_every_rule_is_light_or_has_its_numbers_in_the_profile() -> None:
    """A new rule must be thought of: `localrule: True` where it takes seconds, else a line in the profile."""
    submitted = {name_of(block) for block in BLOCKS if "localrule: True" not in block}
    assert set(PROFILE["set-resources"]) == submitted


@pytest.mark.parametrize("block", [block for block in BLOCKS if "localrule: True" not in block], ids=name_of)
def test_the_first_try_asks_for_what_the_rule_says_and_each_later_one_for_more(block: str) -> None:
    asked = PROFILE["set-resources"][name_of(block)]
    for resource in ("mem_mb", "runtime"):
        said = re.search(rf"^        {resource}=(\d+),$", block, re.MULTILINE)
        assert said
        assert asked[resource] == f"{said[1]} * attempt"
    assert (asked.get("slurm_partition") == "gpu") == ("        gpu=1,\n" in block)


def test_no_rule_has_retries_or_a_group_and_the_profile_no_arrays() -> None:
    assert not [block for block in BLOCKS if re.search(r"^    (retries|group):", block, re.MULTILINE)]
    assert PROFILE["retries"] >= 1
    assert not {"groups", "group-components", "slurm-array-jobs", "slurm-requeue"} & set(PROFILE)


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
