"""A file has its name only when it is complete; tables keep labels as they are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lambdascape.core.errors import InputError
from lambdascape.core.files import PART, atomic_path, content_digest, file_digest, write_digest, write_text
from lambdascape.core.tsv import read_table, read_text_table, write_rows, write_table


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def break_off(path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.tsv"
    write_text("old", path)
    with pytest.raises(RuntimeError):
        break_off(path)
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["table.tsv"]


def test_a_rename_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_text("new", tmp_path / "a.txt")
    assert names_in(tmp_path) == []


def test_a_folder_replaces_the_old_one_as_a_whole(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with atomic_path(tmp_path / "audio") as temporary:
            temporary.mkdir()
            (temporary / name).touch()
    assert names_in(tmp_path / "audio") == ["second"]
    assert names_in(tmp_path) == ["audio"]


def test_labels_and_sessions_stay_text(tmp_path: Path) -> None:
    table = pd.DataFrame({"label": ["NA", "null", ""], "session": ["01", "1e3", "True"], "value": [0.1, np.nan, 1 / 3]})
    write_table(table, tmp_path / "t.tsv")
    read = read_table(tmp_path / "t.tsv", text=("label", "session"))
    assert read["label"].tolist() == ["NA", "null", ""]
    assert read["session"].tolist() == ["01", "1e3", "True"]
    assert read["value"].tolist()[::2] == [0.1, 1 / 3]
    assert np.isnan(read["value"][1])
    assert read_text_table(tmp_path / "t.tsv")["value"].tolist()[1] == ""


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    write_table(pd.DataFrame({"a": [1]}), tmp_path / "t.tsv")
    with pytest.raises(InputError, match="needs the columns a, label; label missing"):
        read_table(tmp_path / "t.tsv", text=("a", "label"))


def test_rows_with_different_keys_make_one_table(tmp_path: Path) -> None:
    write_rows([{"run": "a", "seed": 1, "l2": 0.1}, {"run": "b"}], tmp_path / "t.tsv")
    assert (tmp_path / "t.tsv").read_text() == "run\tseed\tl2\na\t1\t0.1\nb\t\t\n"


def test_the_digest_is_the_one_that_sha256sum_checks(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"abc")
    write_digest(tmp_path / "a.h5", tmp_path / "a.h5.sha256")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_digest(tmp_path / "a.h5") == known
    assert (tmp_path / "a.h5.sha256").read_text() == f"{known}  a.h5\n"


def test_the_digest_of_a_folder_names_each_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "audio/inner").mkdir(parents=True)
    for name in ("b", "inner/a"):
        (tmp_path / "audio" / name).write_text(name)
    write_digest(tmp_path / "audio", tmp_path / "audio.sha256")
    names = [line.split("  ")[1] for line in (tmp_path / "audio.sha256").read_text().splitlines()]
    assert names == ["audio/b", "audio/inner/a"]


@pytest.mark.parametrize("size", [0, 5, 3 * PART, 3 * PART + 1, 10 * PART])
def test_a_content_digest_tells_size_start_middle_and_end(tmp_path: Path, size: int) -> None:
    path, data = tmp_path / "a.wav", bytearray(size)
    path.write_bytes(data)
    digests = {content_digest(path)}
    for change in [
        data + b"\0",
        *([data[:i] + b"x" + data[i + 1 :] for i in (0, size // 2, size - 1)] if size else []),
    ]:
        path.write_bytes(change)
        digests.add(content_digest(path))
    assert len(digests) == 2 + 3 * (size > 0)


def test_a_content_digest_of_a_small_file_tells_every_byte(tmp_path: Path) -> None:
    path, digests = tmp_path / "a.wav", set()
    for at in (PART - 1, PART, 2 * PART - 1, 2 * PART, 3 * PART - 1):
        path.write_bytes(bytes(at) + b"x" + bytes(3 * PART - 1 - at))
        digests.add(content_digest(path))
    assert len(digests) == 5
