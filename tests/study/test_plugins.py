"""One file outside the package adds a probe, a similarity measure, a figure and an adapter; a study shows them all."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lambdascape.claims.vocabulary import unknown
from lambdascape.core.declarations import declared
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table
from lambdascape.study.plugins import extensions_of
from support.checkouts import TINY, Checkout

PLUGIN = Path(__file__).with_name("plugin.py")
DATASET = """\
plugins: [plugin.py]
dataset:
  name: hums
  adapter: named_files
  path: audio
  title: Hums
  licence: CC0-1.0
  citation: none
"""


ARMS = """\
  arms:
  - {loss: nt_xent, temperature: 0.1}
  - {loss: nt_xent, temperature: 0.5}
  - {loss: triplet}
"""


def make_audio(folder: Path) -> None:
    """Hums of two classes, six sessions each, three clips a session."""
    rng = np.random.default_rng(1)
    folder.mkdir()
    sessions = [(label, f"s{number}{label}") for label in ("low", "high") for number in range(1, 7)]
    names = [f"{label}-{session}-{clip}.wav" for label, session in sessions for clip in range(3)]
    for name in names:
        pitch = 200 if name.startswith("low") else 900
        time = np.arange(16000) / 16000
        hum = np.sin(2 * np.pi * pitch * time * rng.uniform(0.9, 1.1)) + 0.3 * rng.normal(size=16000)
        soundfile.write(folder / name, 0.3 * hum, 16000)
    (folder / "names.txt").write_text("\n".join(names))


@pytest.mark.slow
def test_one_file_adds_one_of_each_and_a_study_shows_them(checkout: Checkout) -> None:
    shutil.copy(PLUGIN, checkout.folder / "plugin.py")
    make_audio(checkout.folder / "audio")
    block = TINY[TINY.index("dataset:") : TINY.index("features:")]
    config = TINY.replace(block, DATASET).replace("probes:\n", "probes:\n  centroids: {sharpness: 2}\n")
    config = config.replace("network: {", "network: {architecture: two_convolutions, ")
    config = config.replace("  axes: {l2: [1.0, 0.01]}\n", ARMS)
    (checkout.folder / "tiny.yaml").write_text(config)
    run = checkout.snakemake("--cores", "2", timeout=1200)
    assert run.returncode == 0, run.stdout
    study = checkout.folder / "results/tiny"
    clips = read_table(checkout.folder / "results/datasets/hums/clips.tsv", text=("label", "session"))
    assert sorted(clips["label"].unique()) == ["high", "low"]
    scores = read_table(study / "tables/scores.tsv", text=("probe", "measure", "unit", "split"))
    mine = scores[(scores["probe"] == "centroids") & (scores["measure"] == "macro_f1") & (scores["split"] == "test")]
    assert len(mine) >= 5
    assert mine["value"].between(0, 1).all()
    pairs = read_table(study / "similarity/pairs.tsv", text=("measure",))
    assert pairs.loc[pairs["measure"] == "norm_ratio", "value"].between(0, 1).all()
    runs = read_table(study / "runs.tsv", text=("run", "loss")).set_index("run")
    assert runs.loc[["loss~nt-xent_temperature~0.1_seed~1"]]["temperature"].tolist() == [0.1]
    training = read_table(study / "tables/training.tsv", text=("run", "split", "measure"))
    found = training[training["measure"] == "found"]
    assert found["value"].between(0, 1).all()
    assert set(found["run"]) == set(runs.index[runs["loss"] == "nt_xent"])  # and no share of active triplets
    active = training.loc[training["measure"] == "active_fraction", "run"]
    assert set(active) == set(runs.index[runs["loss"] == "triplet"])
    layers = read_table(study / "tables/layers.tsv", text=("run", "group", "measure"))
    assert list(layers["group"].unique()) == ["first", "second", "head"]
    assert (study / "figures/centroid_scores.svg").stat().st_size > 1000
    page = (study / "report/index.html").read_text()
    shown = ("Nearest class mean", "Ratio of mean lengths", "Scores of the nearest class mean", "Neighbours found")
    for words in (*shown, "NT-Xent loss", "Two convolutions", "Temperature"):
        assert words in page
    with checkout.edited("plugin.py", "np.exp(-settings", "np.exp(-0.5 * settings"):
        planned = checkout.planned()
        assert planned["fit_probes"] == 5  # the code of the file is part of the fingerprint
        assert "train_model" not in planned
    with checkout.edited("plugin.py", "# (tile, class)", "# shape (tile, class)"):
        assert checkout.planned() == {}
    with checkout.edited("plugin.py", "ops.mean(entropy)", "2 * ops.mean(entropy)"):
        assert checkout.planned()["train_model"] == 2
    with checkout.edited("plugin.py", "2 * width", "3 * width"):
        assert checkout.planned()["train_model"] == 3


def test_what_a_plugin_declares_is_found_without_importing_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("raise SystemExit\n\n@similarity_measure('mine', label='Mine')\ndef mine(group): ...\n")
    found = declared("similarity_measure", [str(path)])
    assert found["mine"].task == f"{path}:mine"
    assert "cka" in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@probe('mine')\ndef fit(): ...\n", "argument: 'label'"),
        ("@probe('mine', label='Mine', colour='red')\ndef fit(): ...\n", "unexpected keyword argument 'colour'"),
        ("@probe('knn', label='Mine')\ndef fit(): ...\n", "must have a name of its own; probes.knn.fit_knn has knn"),
        ("@probe('my probe', label='Mine')\ndef fit(): ...\n", "must have a name of letters, digits and _"),
        ("@probe('mine', label=str(1))\ndef fit(): ...\n", "must have literal options"),
        ("def fit(:\n", "must be Python; line 1"),
    ],
)
def test_a_declaration_that_lacks_a_part_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        declared("probe", [str(path)])
    assert message in str(error.value)


def test_settings_of_a_probe_must_be_a_block_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from lambdascape.core.declarations import probe\n\n@probe('mine', label='Mine')\ndef fit(): ...\n")
    with pytest.raises(InputError, match="settings must name a class of the file that extends"):
        extensions_of({"plugins": [str(path)]})
    block = "class Mine(Block):\n    ...\n\n@probe('mine', label='Mine', settings=Mine)\n"
    path = tmp_path / "untyped.py"
    path.write_text(
        "from lambdascape.config.settings import Block\nfrom lambdascape.core.declarations import probe\n\n"
        f"{block}def fit(given, settings, seeds): ...\n"
    )
    with pytest.raises(InputError, match="must have an argument `settings: Mine`, the block that it declares"):
        extensions_of({"plugins": [str(path)]})
    with pytest.raises(InputError, match="must be a Python file; No such file"):
        extensions_of({"plugins": [str(tmp_path / "other.py")]})


def test_the_page_shows_what_is_tested(repo: Path) -> None:
    page = (repo / "docs/how-to/plugins.md").read_text()
    shown = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(shown) == 6
    assert all(block in PLUGIN.read_text() for block in shown)


def test_a_claim_may_ask_for_a_probe_of_a_plugin() -> None:
    where = {"probe": "centroids", "split": "test", "unit": "clip"}
    measure = {"table": "scores", "measure": "macro_f1", "where": where}
    assert not list(unknown("m", measure, [str(PLUGIN)]))
    (problem,) = unknown("m", measure)
    assert "must be a probe of scores" in problem
