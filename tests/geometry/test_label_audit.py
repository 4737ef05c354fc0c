"""The neighbour audit: planted mislabels, a planted broken microphone, a slow plain version."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lambdascape.core.tsv import read_table
from lambdascape.core.vectors import unit_norm
from lambdascape.geometry.label_audit import COLUMNS, FAR_NODE, FENCE, TEXT, audit, audit_neighbours, means_of
from support.spaces import make_space, write_space
from support.studies import FakeStudy


def clips_and_means(
    nodes: int = 3, moments: int = 8, classes: int = 3, dim: int = 12, seed: int = 0
) -> tuple[np.ndarray, pd.DataFrame]:
    """One point per clip around the centre of its class, and what is known of each."""
    rng = np.random.default_rng(seed)
    rows, points = [], []
    for k in range(classes):
        centre = np.zeros(dim)
        centre[k] = 4
        for moment in range(moments):
            heard = centre + 0.3 * rng.normal(size=dim)
            for node in range(nodes):
                rows.append((f"c{k}-{moment}-{node}", f"m{k}-{moment}", f"s{k}-{moment // 4}", f"n{node}", f"class{k}"))
                points.append(heard + 0.1 * rng.normal(size=dim))
    table = pd.DataFrame(rows, columns=["clip", "moment", "session", "node", "label"]).assign(start_s=0.0)
    return unit_norm(np.array(points)), table


def plain_audit(spaces: list[np.ndarray], clips: pd.DataFrame, k: int) -> dict[tuple[str, str], dict[str, object]]:
    """The same by loops over every two clips."""
    found: dict[tuple[str, str], list[tuple[list[str], float]]] = {}
    label, moment, node = (clips[column].tolist() for column in ("label", "moment", "node"))
    n = len(clips)
    for x in spaces:
        d = [[1 - float(x[i] @ x[j]) for j in range(n)] for i in range(n)]
        nearest = {}
        for i in range(n):
            others = sorted((j for j in range(n) if moment[j] != moment[i]), key=lambda j: d[i][j])
            nearest[i] = d[i][others[0]]
            mine = [j for j in others if label[j]][:k]
            if label[i] and all(label[j] != label[i] for j in mine):
                found.setdefault(("label", clips["clip"][i]), []).append(
                    ([label[j] for j in mine], float(np.mean([d[i][j] for j in mine])))
                )
        low, high = np.quantile(list(nearest.values()), [0.25, 0.75])
        for i in range(n):
            if nearest[i] > high + FENCE * (high - low):
                found.setdefault(("far", clips["clip"][i]), []).append(([], nearest[i]))
        apart = [min(d[i][j] for j in range(n) if node[j] != node[i]) for i in range(n)]
        names = sorted(set(node))
        usual = {name: np.median([apart[i] for i in range(n) if node[i] == name]) for name in names}
        for name in names if len(names) > 2 else []:
            if usual[name] > FAR_NODE * np.median([usual[other] for other in names if other != name]):
                worst = max((i for i in range(n) if node[i] == name), key=lambda i: apart[i])
                found.setdefault(("node", clips["clip"][worst]), []).append(([], float(usual[name])))
    rows = {}
    for key, seen in found.items():
        if len(seen) > len(spaces) / 2:
            labels = Counter(name for names, _ in seen for name in names)
            most = labels.most_common(1)[0] if labels else ("", 0)
            rows[key] = {
                "spaces": len(seen),
                "share": most[1] / sum(labels.values()) if labels else np.nan,
                "distance": np.median([distance for _, distance in seen]),
            }
    return rows


def test_nothing_is_found_where_every_clip_stands_with_its_own() -> None:
    means, clips = clips_and_means()
    assert audit([means, means], clips, 5).empty


def test_a_planted_mislabel_is_found_with_the_label_that_it_should_carry() -> None:
    means, clips = clips_and_means()
    wrong = (clips["moment"] == "m1-3").to_numpy()  # all nodes: what they heard carries one label
    clips.loc[wrong, "label"] = "class2"
    found = audit([means], clips, 5)
    assert set(found["clip"]) == set(clips["clip"][wrong])
    assert set(found["kind"]) == {"label"}
    assert set(found["neighbours"]) == {"class1"}
    assert found["share"].tolist() == [1.0] * wrong.sum()
    assert found["label"].tolist() == ["class2"] * wrong.sum()


def test_what_other_nodes_heard_at_the_same_time_hides_no_mislabel() -> None:
    """With enough nodes the five nearest clips are those of the same moment, which carry the same wrong label."""
    means, clips = clips_and_means(nodes=7)
    wrong = (clips["moment"] == "m1-3").to_numpy()
    clips.loc[wrong, "label"] = "class2"
    assert set(audit([means], clips, 5)["clip"]) == set(clips["clip"][wrong])


def test_a_broken_microphone_is_found_and_two_that_differ_are_not_judged() -> None:
    means, clips = clips_and_means()
    rng = np.random.default_rng(1)
    broken = (clips["node"] == "n1").to_numpy()
    noise = np.zeros_like(means)
    noise[:, -1] = 3
    spoilt = unit_norm(means + broken[:, None] * (noise + 0.1 * rng.normal(size=means.shape)))
    found = audit([spoilt], clips, 5)
    assert found.loc[found["kind"] == "node", "node"].tolist() == ["n1"]
    two = clips["node"].isin(["n0", "n1"]).to_numpy()
    assert "node" not in set(audit([spoilt[two]], clips[two].reset_index(drop=True), 5)["kind"])


def test_a_clip_far_from_all_others_is_found_even_without_labels() -> None:
    means, clips = clips_and_means()
    lonely = means.copy()
    lonely[5] = np.eye(means.shape[1])[-1]
    found = audit([lonely], clips.assign(label=""), 5)
    assert found[["kind", "clip"]].to_numpy().tolist() == [["far", clips["clip"][5]]]
    assert found["neighbours"].tolist() == [""]
    assert found["share"].isna().all()


def test_more_than_half_of_the_spaces_must_agree() -> None:
    means, clips = clips_and_means()
    wrong = clips.assign(label=clips["label"].where(clips["clip"] != "c0-0-0", "class1"))
    mixed = means[np.random.default_rng(0).permutation(len(means))]
    mixed[0] = means[wrong["label"].eq("class1").to_numpy().nonzero()[0][-1]]
    assert "c0-0-0" in set(audit([means, means, mixed], wrong, 3)["clip"])
    elsewhere = means.copy()
    elsewhere[0] = means[wrong["label"].eq("class1").to_numpy().nonzero()[0][-1]]
    assert "c0-0-0" not in set(audit([means, elsewhere], wrong, 3)["clip"])


@pytest.mark.parametrize("seed", range(4))
def test_the_plain_version_finds_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    means, clips = clips_and_means(moments=6, seed=seed)
    clips["label"] = np.where(
        rng.random(len(clips)) < 0.2, rng.choice(["class0", "class1", ""], len(clips)), clips["label"]
    )
    spaces = [unit_norm(means + 0.25 * rng.normal(size=means.shape)) for _ in range(3)]
    spaces[0][4] = spaces[1][4] = np.eye(means.shape[1])[-1]
    expected, found = plain_audit(spaces, clips, 3), audit(spaces, clips, 3)
    assert set(zip(found["kind"], found["clip"], strict=True)) == set(expected)
    assert expected
    for row in found.to_dict("records"):
        for name, value in expected[row["kind"], row["clip"]].items():
            assert row[name] == pytest.approx(value, nan_ok=True, abs=1e-9)


def test_the_mean_of_a_clip_weighs_directions_not_lengths() -> None:
    embedding = np.array([[1, 0], [0, 100], [3, 0]], np.float32)
    tiles = pd.DataFrame({"clip": ["a", "a", "b"]})
    assert means_of(embedding, tiles, np.array(["b", "a"], object)) == pytest.approx(
        np.array([[1, 0], [np.sqrt(0.5), np.sqrt(0.5)]])
    )


def test_a_study_is_audited_through_its_files(tmp_path: Path) -> None:
    """Every space that is shown is asked; a space that is one point says nothing and does not count."""
    study = FakeStudy(tmp_path, points=({"l2": 1.0}, {"l2": 0.01}), seeds=(1,))
    runs = read_table(study.tables["runs"], ("run",))["run"].tolist()
    embedding, tiles = make_space(classes=3, sessions=4, clips=3, separation=6.0)
    moment = tiles["moment"].iloc[0]
    tiles.loc[tiles["moment"] == moment, "label"] = "class1"
    flat = np.ones_like(embedding)
    files = [write_space(tmp_path / f"{i}.h5", flat if i == 0 else embedding, tiles) for i in range(len(runs))]
    audit_neighbours(study.tables["runs"], files, runs, 3, 1, tmp_path / "audit.tsv")
    found = read_table(tmp_path / "audit.tsv", TEXT)
    assert found.columns.tolist() == COLUMNS
    labels = found[found["kind"] == "label"]
    assert set(labels["clip"]) == set(tiles.loc[tiles["moment"] == moment, "clip"])
    assert set(labels["of"]) == {len(runs) - 1}
