"""What a claims file may name is what the modules write into the tables, no more and no less."""

from pathlib import Path

import pytest

from lambdascape.claims.vocabulary import COLUMNS, MEASURES, PROBES, measures, unknown
from lambdascape.config.settings import Geometry
from lambdascape.core.tsv import read_table
from lambdascape.geometry.shape import measure_geometry
from lambdascape.probes import by_epoch, scoring
from probes.test_probes import SETTINGS, TEXT, fit_probe
from support.spaces import make_space, write_space


def test_the_measures_of_training_are_the_columns_of_its_history() -> None:
    from lambdascape.models.training import SPLITS, history_columns
    from lambdascape.models.triplet_model import MEASURES as OF_THE_MODEL

    of_the_loss = ("loss_nonzero", "active_fraction")
    written = set(history_columns([*OF_THE_MODEL, *of_the_loss])) - {"epoch", "split", "device"}
    assert set(measures("training")) == written
    assert COLUMNS["training"] == {"split": SPLITS}


def test_the_measures_by_epoch_are_the_columns_of_the_published_probe() -> None:
    assert ["softmax", "epoch", "split", *MEASURES["probe_epochs"]] == by_epoch.EPOCH_COLUMNS


def test_the_measures_of_geometry_are_those_that_it_writes(tmp_path: Path) -> None:
    path = write_space(tmp_path / "space.h5", *make_space())
    outputs = [tmp_path / f"{name}.tsv" for name in ("geometry", "spectrum", "centroids")]
    measure_geometry(path, "fold1", Geometry(max_tiles=1000, draw_seed=1), *outputs)
    table = read_table(outputs[0], ("split", "measure"))
    assert tuple(table["measure"]) == MEASURES["geometry"]
    assert tuple(table["split"].unique()) == COLUMNS["geometry"]["split"]


def test_the_names_of_scores_are_those_that_the_probes_write(tmp_path: Path) -> None:
    found: dict[str, set[str]] = {column: set() for column in ("measure", "unit", "split", "probe")}
    path = write_space(tmp_path / "space.h5", *make_space())
    for probe, settings in SETTINGS.items():
        outputs = tmp_path / f"{probe}.tsv", tmp_path / f"{probe}_confusion.tsv"
        fit_probe(probe, path, settings, [3], outputs)
        table = read_table(outputs[0], TEXT)
        for column in found:
            if (probe, column) != ("folds", "split"):  # those are the folds
                found[column] |= set(table[column])
        entries = table[["probe", "split", "unit", "measure"]].drop_duplicates().to_dict("records")
        for entry in entries:
            name = entry.pop("measure")
            assert not list(unknown("m", {"table": "scores", "measure": name, "where": entry | {"class": "class0"}}))
    assert found["measure"] == set(MEASURES["scores"])
    assert found["unit"] == set(scoring.UNITS) == set(COLUMNS["scores"]["unit"] or ())
    assert found["split"] == set(COLUMNS["scores"]["split"] or ())
    named = {name for name in found["probe"] if not name.startswith("few_shot_")}
    assert named | {"by_epoch", "by_epoch_single", "by_epoch_double"} == set(PROBES)


@pytest.mark.parametrize(
    ("table", "measure", "where", "message"),
    [
        ("training", "los", {}, "m.measure: must be a measure of training (loss, loss_all, "),
        ("training", "los_all", {}, "; got the text 'los_all'; did you mean loss_all?"),
        ("geometry", "alignments", {"split": "test"}, "; did you mean alignment?"),
        ("geometry", "alignment", {"split": "train"}, "where.split: must be a split of geometry (test); got the text"),
        ("scores", "macro_f1", {"unit": "tiles"}, "m.where.unit: must be a unit of scores (tile, clip, segment); got"),
        ("scores", "macro_f1", {"probe": "convergd"}, "; did you mean converged?"),
        ("scores", "macro_f1", {"probe": "few_shot_all"}, "m.where.probe: must be a probe of scores (by_epoch, "),
        ("scores", "macro_f1", {"probe": "knn", "split": "fold1"}, "m.where.split: must be a split of scores (train, "),
        ("scores", "f1", {"probe": "knn"}, "m.where: must have class for the measure f1"),
    ],
)
def test_what_no_table_has_is_named(table: str, measure: str, where: dict[str, str], message: str) -> None:
    (found,) = unknown("m", {"table": table, "measure": measure, "where": where})
    assert message in found
