"""What other tools are handed: the table of embeddings, the projector's files, and how the report links them."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import yaml

from lambdascape.config.settings import Geometry
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import write_table
from lambdascape.embeddings.held_out import read_held_out
from lambdascape.embeddings.space_file import read_embeddings
from lambdascape.exports import embedding_table as exports_table
from lambdascape.exports.embedding_table import export_table
from lambdascape.exports.projector import export_projector
from lambdascape.report.exports_section import WORDS, list_exports
from support.configs import study_of
from support.spaces import make_space, write_space
from support.studies import with_identity

NAMES = ["l2~1_seed~7", "l2~0.1_seed~7", "untrained_seed~7", "mean_logmel", "openl3"]
DIMS = [6, 6, 6, 3, 9]


@pytest.fixture
def study(tmp_path: Path) -> tuple[list[Path], Path]:
    """Five spaces over the same tiles, and the table of runs."""
    paths = []
    for number, (name, dim) in enumerate(zip(NAMES, DIMS, strict=True)):
        embedding, tiles = make_space(dim=dim, seed=number)
        if name == NAMES[0]:
            label = tiles["label"].replace("class0", 'a "quoted", label').replace("class1", "")
        paths.append(write_space(tmp_path / f"{name}.h5", embedding, tiles.assign(label=label)))
    runs = {
        "run": NAMES,
        "kind": ["trained", "trained", "untrained", "mean_logmel", "own"],
        "seed": pd.array([7, 7, 7, None, None], "Int64"),
        "margin": 1.0,
        "l2": [1.0, 0.1, None, None, None],
    }
    write_table(with_identity(pd.DataFrame(runs)), tmp_path / "runs.tsv")
    return paths, tmp_path / "runs.tsv"


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("rows", [None, 7])
def test_the_table_holds_every_tile_of_every_space(
    study: Any, tmp_path: Path, suffix: str, rows: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, runs = study
    if rows:
        monkeypatch.setattr(exports_table, "CELLS", rows)
        monkeypatch.setattr(exports_table, "LEAST_ROWS", rows)
    output = tmp_path / f"embeddings{suffix}"
    export_table(NAMES, paths, runs, "fold1", output)
    text = dict.fromkeys(("run", "kind", "clip", "session", "node", "fold", "label", "split"), str)
    found = pd.read_parquet(output) if suffix == ".parquet" else pd.read_csv(output, dtype=text, keep_default_na=False,
        na_values={name: [""] for name in ("l2", "seed", *(f"e{k}" for k in range(9)))})  # fmt: skip
    known = ["run", "kind", "l2", "seed", "clip", "moment", "session", "node", "fold", "label", "split", "start_s"]
    assert list(found.columns) == known + [f"e{number}" for number in range(9)]
    assert found["run"].drop_duplicates().tolist() == NAMES
    for name, path, dim in zip(NAMES, paths, DIMS, strict=True):
        embedding, tiles, _ = read_embeddings(path)
        here = found[found["run"] == name]
        vectors = here[[f"e{number}" for number in range(9)]].to_numpy(np.float32)
        np.testing.assert_array_equal(vectors[:, :dim], embedding)
        assert np.isnan(vectors[:, dim:]).all()
        for column in ("clip", "moment", "session", "node", "fold", "label", "start_s"):
            assert here[column].tolist() == tiles[column].tolist()
        assert (here["split"] == "test").tolist() == (tiles["fold"] == "fold1").tolist()
    by_run = found.groupby("run")[["l2", "seed"]].agg("first")
    assert by_run["l2"].fillna(-1).to_dict() == dict(zip(NAMES, [1.0, 0.1, -1, -1, -1], strict=True))
    assert by_run["seed"].fillna(-1).to_dict() == dict(zip(NAMES, [7, 7, 7, -1, -1], strict=True))


def test_parquet_keeps_float32_describes_its_columns_and_parts_rows_by_space(study: Any, tmp_path: Path) -> None:
    paths, runs = study
    export_table(NAMES, paths, runs, "fold1", tmp_path / "embeddings.parquet")
    file = pyarrow.parquet.ParquetFile(tmp_path / "embeddings.parquet")
    schema = file.schema_arrow
    assert str(schema.field("e0").type) == "float"
    assert all(field.metadata[b"description"] for field in schema)
    groups = [file.read_row_group(number, ["run"])["run"].unique().to_pylist() for number in range(file.num_row_groups)]
    assert groups == [[name] for name in NAMES]


def test_a_table_of_another_format_or_of_a_strange_space_is_refused(study: Any, tmp_path: Path) -> None:
    paths, runs = study
    with pytest.raises(InputError, match=r"must end in \.parquet or \.csv; got .*\.xlsx"):
        export_table(NAMES, paths, runs, "fold1", tmp_path / "embeddings.xlsx")
    with pytest.raises(InputError, match="must list every space; it lacks stranger"):
        export_table([*NAMES, "stranger"], [*paths, paths[0]], runs, "fold1", tmp_path / "embeddings.csv")
    with h5py.File(paths[0], "r+") as file:
        del file.attrs["complete"]
    with pytest.raises(InputError, match="must be a complete file"):
        export_table(NAMES, paths, runs, "fold1", tmp_path / "embeddings.csv")
    assert not (tmp_path / "embeddings.csv").exists()


def test_tensorboard_reads_the_projector_files(study: Any, tmp_path: Path) -> None:
    """The plugin of the installed TensorBoard serves every space, its points and what is known of them."""
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client

    paths, _ = study
    settings = Geometry(max_tiles=40, draw_seed=1)
    export_projector(NAMES, paths, "fold1", settings, tmp_path / "projector/projector_config.pbtxt")
    apps = ProjectorPlugin(TBContext(logdir=str(tmp_path / "projector"))).get_plugin_apps()
    assert json.loads(Client(apps["/runs"]).get("/").data) == ["."]
    config = json.loads(Client(apps["/info"]).get("/?run=.").data)
    assert [(one["tensorName"], one["tensorShape"]) for one in config["embeddings"]] == [
        (name, [40, dim]) for name, dim in zip(NAMES, DIMS, strict=True)
    ]
    for name, path, dim in zip(NAMES, paths, DIMS, strict=True):
        held_out = read_held_out(path, "fold1", settings)
        query = {"run": ".", "name": name}
        points = np.frombuffer(Client(apps["/tensor"]).get("/", query_string=query).data, np.float32)
        np.testing.assert_array_equal(points.reshape(40, dim), held_out.embedding[held_out.drawn].astype(np.float32))
        lines = Client(apps["/metadata"]).get("/", query_string=query).data.decode().splitlines()
        assert lines[0].split("\t") == ["label", "session", "node", "clip", "start_s", "fold"]
        assert [line.split("\t")[0] for line in lines[1:]] == held_out.column("label").tolist()
        assert [line.split("\t")[3] for line in lines[1:]] == held_out.column("clip").tolist()


def test_a_label_with_tabs_and_line_ends_keeps_to_its_cell(tmp_path: Path) -> None:
    embedding, tiles = make_space()
    path = write_space(tmp_path / "space.h5", embedding, tiles.assign(label="one\ttwo\nthree"))
    settings = Geometry(max_tiles=10, draw_seed=1)
    export_projector(["space"], [path], "fold1", settings, tmp_path / "projector_config.pbtxt")
    lines = (tmp_path / "space_tiles.tsv").read_text().splitlines()
    assert {(line.split("\t")[0], line.count("\t")) for line in lines[1:]} == {("one two three", 5)}
    assert len(lines) == 11


def test_the_report_links_what_the_config_exports(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = yaml.safe_load((repo / "config.yaml").read_text())
    exports = {"always": ["table", "projector", "models"], "table": "csv", "onnx": True}
    study = study_of(config | {"exports": exports})
    monkeypatch.chdir(tmp_path)
    for number, file in enumerate(study.exported):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_bytes(b"x" * number)
    found = list_exports(study.exported, study.page)
    assert [(Path(study.page).parent / one.address).resolve() for one in found if "~" not in one.address] == [
        Path(file).resolve() for file in study.exported if "~" not in file
    ]
    assert {one.name for one in found} == set(WORDS) - {"embeddings.parquet"}
    assert {one.run for one in found} == {"", *study.runs}
    assert found[3].size == "3 bytes"

    study = study_of(config)
    assert study.exported == ["results/demo/exports/embeddings.parquet"]
    assert len(study.exports["models"]) == 2 * len(study.runs)
    assert study_of(config | {"exports": {"always": [], "table": "csv", "onnx": True}}).exported == []
