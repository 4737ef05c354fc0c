"""One file outside the package adds a probe, a similarity measure, a figure and an adapter; a study shows them all."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lambdascape.claims.vocabulary import unknown
from lambdascape.config.keys import key
from lambdascape.config.settings import Block, ByEpoch
from lambdascape.core.declarations import declared
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table
from lambdascape.jobs.call import find
from lambdascape.probes.fit import fit_probes
from lambdascape.study.plugins import extensions_of
from support.checkouts import TINY, Checkout
from support.spaces import make_space, write_space

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
        ("@probe('mine')\ndef fit(given, settings, seeds): ...\n", "argument: 'label'"),
        (
            "@probe('mine', label='Mine')\ndef fit(given, settings): ...\n",
            "must have the arguments given, settings, seeds",
        ),
        ("from lambdascape.core.declarations import probe as mine\n", "probe must keep its name; got mine"),
        ("@probe('mine', label='Mine', colour='red')\ndef fit(): ...\n", "unexpected keyword argument 'colour'"),
        (
            "@probe('knn', label='Mine')\ndef fit(given, settings, seeds): ...\n",
            "of its own; probes.knn.fit_knn has knn",
        ),
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


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("loss", "@loss('mine', label='M')\ndef f(anchors, margin): ...\n", "begin with the arguments anchors, n"),
        ("network", "@network('mine', label='M')\ndef f(tiles): ...\n", "begin with the arguments tiles, c"),
        ("similarity_measure", "@similarity_measure('mine', label='M')\ndef f(a): ...\n", "the arguments group; got a"),
        ("figure", "@figure('mine', title='', label='', caption='', category='X')\ndef f(): ...\n", "category must be"),
    ],
)  # fmt: skip
def test_a_declared_function_must_be_called_as_its_kind_is(tmp_path: Path, kind: str, text: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        declared(kind, [str(path)])
    assert message in str(error.value)


def test_a_decorator_may_be_called_by_its_module_and_files_of_one_name_are_two(tmp_path: Path) -> None:
    files = tmp_path / "mine.py", tmp_path / "other/mine.py"
    files[1].parent.mkdir()
    for number, path in enumerate(files):
        path.write_text(
            "from lambdascape.core import declarations\n\n"
            f"@declarations.similarity_measure('m{number}', label='M')\ndef measure(group):\n    return {number}\n"
        )
    found = declared("similarity_measure", [str(path) for path in files])
    assert [find(found[name].task)(None) for name in ("m0", "m1")] == [0, 1]
    files[0].write_text("import nothing_of_this_name\n")
    with pytest.raises(InputError, match=r"new\.py: cannot be imported; ModuleNotFoundError: No module named"):
        find(f"{shutil.copy(files[0], tmp_path / 'new.py')}:measure")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("    return table", "    return None"), "must return a probes.scoring.ScoreTable; got NoneType"),
        (('ScoreTable(space, "centroids")', 'ScoreTable(space, "other")'), "its scores must have its name, centroids"),
        ((', counted=split == "test"', ""), "must add the test tiles with counted=True"),
        (("weight / weight.sum", "weight / 2 / weight.sum"), "posteriors must be probabilities that sum to 1"),
        (("table.add(split, rows, posterior", "table.add(split, rows, posterior[:1]"), "must have the shape"),
    ],
)  # fmt: skip
def test_a_probe_that_gives_no_scores_of_its_own_is_named(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    text = PLUGIN.read_text()
    assert change[0] in text
    (tmp_path / "plugin.py").write_text(text.replace(*change, 1))
    space = write_space(tmp_path / "space.h5", *make_space())
    task = {"name": f"{tmp_path / 'plugin.py'}:fit_centroids"}
    probe = {"name": "centroids", "task": task, "settings": {"sharpness": 1.0}}
    by_epoch = ByEpoch(epochs=1)
    outputs = [tmp_path / name for name in ("epochs.tsv", "scores.tsv", "counts.tsv")]
    with pytest.raises(InputError, match=re.escape(message)):
        fit_probes(space, "fold1", by_epoch, None, 1, [probe], [1], outputs[0], outputs[1:2], outputs[2:])


def test_settings_of_a_probe_must_be_a_block_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from lambdascape.core.declarations import probe\n\n@probe('mine', label='Mine')\n"
        "def fit(given, settings, seeds): ...\n"
    )
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


def test_bounds_and_stages_that_there_are_not_are_refused() -> None:
    with pytest.raises(ValueError, match="bounds of a key must be among ge, gt, le, lt, min_length; got greater"):
        key(1.0, "A number.", {"greater": 0})
    with pytest.raises(ValueError, match=r"Mine: reruns must be one of all, datasets, .*; got 'probe'"):
        type("Mine", (Block,), {"reruns": "probe"})


def test_the_page_shows_what_is_tested(repo: Path) -> None:
    page = (repo / "docs/how-to/plugins.md").read_text()
    shown = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(shown) == 7
    assert all(block in PLUGIN.read_text() for block in shown)


def test_a_claim_may_ask_for_a_probe_of_a_plugin() -> None:
    where = {"probe": "centroids", "split": "test", "unit": "clip"}
    measure = {"table": "scores", "measure": "macro_f1", "where": where}
    assert not list(unknown("m", measure, [str(PLUGIN)]))
    (problem,) = unknown("m", measure)
    assert "must be a probe of scores" in problem
