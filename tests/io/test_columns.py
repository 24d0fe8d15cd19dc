"""Which column plays which part: what is refused, and in which words."""

from ast import literal_eval
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longspan.errors import EmptyDataError, TableError
from longspan.io import read_table

FRAME = pd.DataFrame({"s": [1, 1, 2], "t": [9, 10, 9], "x": [1.0, 2.0, 3.0], "y": [0, 0, 1]})


class TestTimes:
    def test_offsets_are_instants(self, tmp_path: Path) -> None:
        times = ["2026-03-01 10:00:00+02:00", "2026-03-01 09:30:00+00:00", "2026-03-01 12:30:00+05:00"]
        rows = "".join(f"a,{time},{k}\n" for k, time in enumerate(times))
        (tmp_path / "x.csv").write_text(f"s,t,x\n{rows}")
        table = read_table(tmp_path / "x.csv", series="s", time="t")
        assert table.sequences[0].ravel().tolist() == [2, 0, 1]
        hours = [np.datetime64(f"2026-03-01T{time}") for time in ("07:30", "08:00", "09:30")]
        assert table.times is not None
        assert table.times.tolist() == [time.astype("datetime64[us]").item() for time in hours]

    def test_months_are_their_first_days(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("s,t,x\na,2024-10,3\na,2024-09,2\na,2023-12,1\n")
        table = read_table(tmp_path / "x.csv", series="s", time="t")
        assert table.sequences[0].ravel().tolist() == [1, 2, 3]
        assert table.times is not None
        assert table.times.astype("datetime64[D]").astype(str).tolist() == ["2023-12-01", "2024-09-01", "2024-10-01"]

    def test_months_beside_other_text_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("s,t,x\na,2024-10,3\na,2024-13,2\n")
        with pytest.raises(TableError, match="'t' is text"):
            read_table(tmp_path / "x.csv", series="s", time="t")

    def test_text_is_refused_with_examples(self, tmp_path: Path) -> None:
        rows = "".join(f"a,day {day},1\n" for day in (9, 10, 11, 12))
        (tmp_path / "x.csv").write_text(f"s,t,x\n{rows}")
        with pytest.raises(TableError, match=r"'t' is text, .*: 'day 10', 'day 11', 'day 12'.\n.* AS TIMESTAMP"):
            read_table(tmp_path / "x.csv", series="s", time="t")

    def test_the_query_that_is_suggested_works(self) -> None:
        frame = FRAME.astype({"t": str})
        with pytest.raises(TableError, match="sorted as text: '10', '9'") as raised:
            read_table(frame, series="s", time="t")
        query = literal_eval(str(raised.value).partition("query=")[2])
        assert read_table(frame, series="s", time="t", query=query).times.tolist() == [9, 10, 9]


class TestDecimalCommas:
    @pytest.mark.parametrize("features", [None, ["x"]])
    def test_are_named_and_the_query_works(self, tmp_path: Path, features: list[str] | None) -> None:
        (tmp_path / "x.csv").write_text("s;t;x\n1;1;1,5\n1;2;2\n")
        with pytest.raises(TableError, match=r"'x' .*'1,5'.*\n  If its commas are decimal") as raised:
            read_table(tmp_path / "x.csv", series="s", time="t", features=features)
        query = literal_eval(str(raised.value).partition("query=")[2].splitlines()[0])
        table = read_table(tmp_path / "x.csv", series="s", time="t", features=features, query=query)
        assert table.sequences[0].tolist() == [[1.5], [2]]

    def test_labels_with_commas_are_text(self) -> None:
        frame = FRAME.assign(label=["1,5", "up", "down"])
        assert read_table(frame, series="s", time="t").feature_names == ("x", "y")


class TestNames:
    def test_one_feature_as_text(self) -> None:
        assert read_table(FRAME, series="s", features="x").feature_names == ("x",)

    def test_names_that_are_no_text(self) -> None:
        frame = FRAME.set_axis([0, 1, 2, 3], axis="columns")
        assert read_table(frame, series="0", time="1").feature_names == ("2", "3")
        assert read_table({0: np.zeros(2), 1: np.ones(2)}, series="0").feature_names == ("1",)
        assert frame.columns.tolist() == [0, 1, 2, 3]

    def test_names_that_cannot_be_told_apart(self) -> None:
        with pytest.raises(TableError, match="several columns that are named 'x'"):
            read_table(FRAME.set_axis(["s", "t", "x", "x"], axis="columns"), series="s")
        with pytest.raises(TableError, match="named by text, as '3', and not by 3"):
            read_table(FRAME, series=3)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ({"features": ["x", "x"]}, "'x' is named twice among the features"),
            ({"target": ["y", "y"]}, "'y' is named twice among the targets"),
            ({"features": ["x", "y"], "target": "y"}, "'y' is a feature and the target too"),
        ],
    )
    def test_a_column_plays_one_part(self, parts: dict, message: str) -> None:
        with pytest.raises(TableError, match=message):
            read_table(FRAME, series="s", **parts)


@pytest.mark.parametrize("parts", [{}, {"time": "t"}, {"features": ["x"]}, {"target": "y"}])
def test_a_header_alone_has_no_rows(tmp_path: Path, parts: dict) -> None:
    (tmp_path / "x.csv").write_text("s,t,x,y\n")
    with pytest.raises(EmptyDataError, match="the table has no rows"):
        read_table(tmp_path / "x.csv", series="s", **parts)
