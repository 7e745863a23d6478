"""Anyone's table: columns by usual names, numbers as people write them, and the line of what is wrong."""

import os
from pathlib import Path

import pytest

from scaling_lab.errors import DataError, UsageError
from scaling_lab.laws.table import MOST_BYTES, number_of, read_table


def written(folder: Path, text: str) -> Path:
    path = folder / "runs.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "what", "found"),
    [
        ("N,Loss", "n", "N"),
        ("params,val/loss", "n", "params"),
        ("Num Params,L", "n", "Num Params"),
        ("size,n,loss", "n", "n"),
        ("model_size,val_loss", "loss", "val_loss"),
        ("n,loss,val/loss", "loss", "val/loss"),
        ("n,Training Tokens,loss", "d", "Training Tokens"),
        ("n,Training FLOP,loss", "c", "Training FLOP"),
        ("n,width", "loss", None),
    ],
)
def test_columns_are_found_by_usual_names(tmp_path: Path, header: str, what: str, found: str | None) -> None:
    assert read_table(written(tmp_path, header + "\n")).find(what) == found


@pytest.mark.parametrize(("text", "number"), [("1.5e9", 1.5e9), ("70M", 70e6), ("1.5b", 1.5e9), ("1,000", 1000.0)])
def test_numbers_are_read_as_people_write_them(text: str, number: float) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize("text", ["", "xl", "M", "1.2.3", "—", "2,31", "1,5e9", ",100", "1,00"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert number_of(text) is None


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_commas_semicolons_and_tabs_part_columns(tmp_path: Path, delimiter: str) -> None:
    rows = [["\ufeffparams", "loss"], ["1M", "2.5"], ["", ""], ["4e6", "2.25"]]
    table = read_table(written(tmp_path, "\r\n".join(delimiter.join(row) for row in rows)))
    assert table.column("n").tolist() == [1e6, 4e6]
    assert table.column("loss").tolist() == [2.5, 2.25]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("", "loss is empty"),
        ("nan", "loss is 'nan', not a positive number"),
        ("-1", "loss is '-1', not a positive number"),
        ("0", "loss is '0', not a positive number"),
        ("inf", "loss is 'inf', not a positive number"),
        ("diverged", "loss is 'diverged', not a positive number"),
    ],
)
def test_a_bad_cell_is_named_with_its_line(tmp_path: Path, cell: str, said: str) -> None:
    path = written(tmp_path, f"n,loss\n1e6,2\n\n2e6,{cell}\n")
    with pytest.raises(DataError, match=f"runs.csv:4: {said}"):
        read_table(path).column("loss")


def test_a_missing_column_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "width,loss\n1,2\n"))
    with pytest.raises(DataError, match=r"no column of parameters .* columns are width, loss; give --n-column NAME"):
        table.column("n")
    assert table.column("n", "width").tolist() == [1]
    with pytest.raises(UsageError, match=r"--n-column: .* has no column 'depth'"):
        table.column("n", "depth")


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.csv: can't be read \(No such file or directory\)"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match="empty"):
        read_table(written(tmp_path, ""))
    (tmp_path / "bytes.csv").write_bytes(b"n,loss\n\xff\xfe\x00")
    with pytest.raises(DataError, match=r"not a CSV file \(not UTF-8 text\)"):
        read_table(tmp_path / "bytes.csv")


def test_what_reading_has_no_end_of_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(DataError, match=f"{path}: is a pipe or a device; write the table into a file, and give"):
            read_table(path)
    with pytest.raises(DataError, match="is a folder; give a CSV file"):
        read_table(tmp_path)
    with (tmp_path / "huge.csv").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(DataError, match=r"huge.csv: more than 100,000,000 bytes, so no table of runs"):
        read_table(tmp_path / "huge.csv")


def test_a_table_that_the_shell_hands_in_is_read(tmp_path: Path) -> None:
    table = written(tmp_path, "n,loss\n1e6,2\n")
    with table.open() as file:
        assert read_table(Path(f"/dev/fd/{file.fileno()}")).column("n").tolist() == [1e6]


def test_a_column_of_names_gives_way_to_one_of_numbers(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "\nsize,model size,loss\ntiny,1e6,2\nsmall,4e6,1.8\n"))
    assert table.find("n") == "model size"
    assert table.column("n").tolist() == [1e6, 4e6]


def test_a_name_that_two_columns_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two columns are named 'loss'"):
        read_table(written(tmp_path, "loss,n,loss\n2,1e6,3\n")).column("loss")


def test_a_comma_that_may_be_a_decimal_one_is_no_thousand(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="loss is '5,352', not a positive number"):
        read_table(written(tmp_path, "n;loss\n1e6;5,352\n")).column("loss")
