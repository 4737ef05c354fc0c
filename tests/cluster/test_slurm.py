"""The cluster of the tests leaves alone what is not its own."""

from pathlib import Path

import pytest

from cluster import slurm


def test_another_clusters_settings_are_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = (tmp_path / "slurm.conf", tmp_path / "gres.conf")
    monkeypatch.setattr(slurm, "NEEDED", ())
    monkeypatch.setattr(slurm, "FILES", files)
    monkeypatch.setattr(slurm.os, "getuid", lambda: 0)
    assert slurm.why_not() == ""
    files[0].write_text(f"{slurm.MARK}\nClusterName=left_over\n")
    assert slurm.why_not() == ""
    files[1].write_text("Name=gpu\n")
    cluster = slurm.Slurm(tmp_path / "state")
    with pytest.raises(slurm.UnusableError, match=r"gres\.conf is another cluster's"):
        cluster.up()
    assert files[1].read_text() == "Name=gpu\n"
    assert not (tmp_path / "state").exists()
