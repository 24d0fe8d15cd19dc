"""A line that is too long or too short is named, wherever it is."""

import gzip
from pathlib import Path

import pytest

from longspan.errors import FormatError
from longspan.io import read_table


@pytest.mark.parametrize("before", [0, 1, 10, 30_000])
@pytest.mark.parametrize("name", ["x.csv", "it's [odd].csv", "x.csv.gz"])
def test_a_long_line_is_named(tmp_path: Path, before: int, name: str) -> None:
    text = "s,t,x\n" + "".join(f"a,{t},1\n" for t in range(before)) + "a,-1,1,8,9\na,-2,2\n"
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    with pytest.raises(FormatError, match=f"line {before + 2} of .* has 5 values, but line 1 names 3 columns: s, t, x"):
        read_table(tmp_path / name, series="s", time="t")


def test_the_file_of_a_pattern_is_named(tmp_path: Path) -> None:
    (tmp_path / "day-1.csv").write_text("s,t,x\na,1,1\n")
    (tmp_path / "day-2.csv").write_text("s,t,x\na,2,1\na,3,1,8,9\n")
    with pytest.raises(FormatError, match=r"line 3 of .*day-2\.csv has 5"):
        read_table(tmp_path / "day-*.csv", series="s", time="t")


def test_what_is_quoted_is_one_value(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('s,t,x,note\na,1,1,"a, b\nand c"\n\na,2,3,d\n')
    table = read_table(tmp_path / "x.csv", series="s", time="t")
    assert table.sequences[0].tolist() == [[1], [3]]
