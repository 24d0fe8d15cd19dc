"""Tables: every source gives the same sequences, and every contradiction is named."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow
import pytest

from longspan.errors import (
    DataFileNotFoundError,
    EmptyDataError,
    FormatError,
    LongspanError,
    NonFiniteError,
    TableError,
)
from longspan.io import Table, read_table, write_table

FRAME = pd.DataFrame(
    {
        "trial": ["b", "a", "b", "a", "c"],
        "ms": [20, 10, 10, 0, 5],
        "left": [1.5, 2.5, 3.5, 4.5, None],
        "right": [1, 2, 3, 4, 5],
        "answer": ["yes", "no", "yes", "no", "yes"],
        "subject": [1, 2, 1, 2, 2],
        "phase": [0, 1, 2, 3, 4],
    }
)
FEATURES = ["left", "right"]


def check(table: Table) -> None:
    assert table.keys.tolist() == ["a", "b", "c"]
    expected = [[[4.5, 4], [2.5, 2]], [[3.5, 3], [1.5, 1]], [[None, 5]]]
    shown = [[[None if np.isnan(x) else x for x in row] for row in s.tolist()] for s in table.sequences]
    assert shown == expected
    assert table.feature_names == ("left", "right")


def read(source: object, **changes: object) -> Table:
    arguments = {"series": "trial", "time": "ms", "features": FEATURES} | changes
    return read_table(source, **arguments)  # type: ignore[arg-type]


def to_duckdb(path: Path) -> None:
    with duckdb.connect(path) as connection:
        connection.register("frame", FRAME)
        connection.execute("CREATE TABLE trials AS SELECT * FROM frame")


FILES: dict[str, Callable[[Path], object]] = {
    "x.csv": lambda path: FRAME.to_csv(path, index=False),
    "x.csv.gz": lambda path: FRAME.to_csv(path, index=False),
    "x.tsv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "x.PARQUET": lambda path: FRAME.to_parquet(path),
    "x.jsonl": lambda path: FRAME.to_json(path, orient="records", lines=True),
    "x.json": lambda path: FRAME.to_json(path, orient="records"),
    "x.duckdb": to_duckdb,
    "it's [odd] * ?.csv": lambda path: FRAME.to_csv(path, index=False),
}


class TestSources:
    @pytest.mark.parametrize("name", FILES)
    def test_files(self, tmp_path: Path, name: str) -> None:
        FILES[name](tmp_path / name)
        check(read(tmp_path / name))
        check(read(str(tmp_path / name)))

    def test_pandas_arrow_and_dicts(self) -> None:
        check(read(FRAME))
        check(read(pyarrow.Table.from_pandas(FRAME)))
        check(read({name: FRAME[name].to_numpy() for name in FRAME}))
        check(read(FRAME.astype({"trial": "category"})))

    def test_patterns(self, tmp_path: Path) -> None:
        for n in range(len(FRAME)):
            FRAME[n : n + 1].to_csv(tmp_path / f"part-{n}.csv", index=False)
        check(read(tmp_path / "part-*.csv"))

    def test_queries(self, tmp_path: Path) -> None:
        FRAME.to_csv(tmp_path / "x.csv", index=False)
        check(read(None, query=f"SELECT * FROM '{tmp_path / 'x.csv'}' -- all of it"))
        check(read(FRAME, query="SELECT * FROM source ORDER BY phase DESC;"))
        table = read(tmp_path / "x.csv", query="SELECT * FROM source WHERE trial <> 'a'")
        assert table.keys.tolist() == ["b", "c"]

    def test_many_rows_come_in_pieces(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("longspan.io.tables._CHUNK", 1000)
        rng = np.random.default_rng(0)
        order = rng.permutation(12_345)
        columns = {"s": order // 100, "t": order, "x": order * 0.5, "y": order * 2}
        table = read_table(columns, series="s", time="t", features=["x"], target="y", per_step=True)
        assert np.array_equal(table.sequences.values[:, 0], np.arange(12_345) * 0.5)
        assert np.array_equal(table.times, np.arange(12_345))
        assert np.array_equal(np.concatenate(table.targets), np.arange(12_345) * 2)
        assert table.sequences.lengths.tolist() == [100] * 123 + [45]


class TestColumns:
    def test_without_features_every_other_numeric_column(self) -> None:
        table = read(FRAME, features=None, target="answer", group="subject")
        assert table.feature_names == ("left", "right", "phase")

    def test_targets_of_text_and_groups(self) -> None:
        table = read(FRAME, target="answer", group="subject")
        assert table.targets.tolist() == ["no", "yes", "yes"]
        assert table.targets.dtype == object
        assert table.groups.tolist() == [2, 1, 2]
        assert table.target_names == ("answer",)
        assert table.times.tolist() == [0, 10, 10, 20, 5]

    def test_several_targets(self) -> None:
        assert read(FRAME, target=["subject"]).targets.tolist() == [[2], [1], [2]]
        assert read(FRAME, target=["subject", "answer"]).targets.tolist() == [
            [2, "no"],
            [1, "yes"],
            [2, "yes"],
        ]

    def test_targets_per_step(self) -> None:
        targets = read(FRAME, target="phase", per_step=True).targets
        assert [t.tolist() for t in targets] == [[3, 1], [2, 0], [4]]
        targets = read(FRAME, target=["phase", "ms"], per_step=True).targets
        assert [t.tolist() for t in targets] == [[[3, 0], [1, 10]], [[2, 10], [0, 20]], [[4, 5]]]

    def test_without_target_there_is_none(self) -> None:
        table = read(FRAME)
        assert (table.targets, table.groups, table.target_names) == (None, None, ())

    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_without_time_rows_keep_their_order(self, tmp_path: Path, suffix: str) -> None:
        rng = np.random.default_rng(0)
        columns = {"s": rng.integers(0, 7, 300_000), "x": np.arange(300_000)}
        write_table(tmp_path / f"x.{suffix}", columns)
        table = read_table(tmp_path / f"x.{suffix}", series="s")
        assert table.times is None
        assert all((np.diff(s[:, 0]) > 0).all() for s in table.sequences)

    def test_odd_names_are_only_names(self) -> None:
        odd = 'x"; DROP TABLE rows; --'
        frame = FRAME.rename(columns={"left": odd, "trial": "s", "right": "f0", "answer": "select"})
        table = read(frame, series="s", features=[odd, "f0"], target="select")
        assert table.feature_names == (odd, "f0")
        assert table.targets.tolist() == ["no", "yes", "yes"]

    def test_other_types(self) -> None:
        query = """SELECT trial::ENUM('c', 'b', 'a') AS trial,
                   TIMESTAMP '2020-01-01' + INTERVAL 1 SECOND * ms AS ms,
                   "left"::DECIMAL(9, 3) AS "left", "right"::HUGEINT AS "right",
                   answer = 'yes' AS answer, subject::DECIMAL(4, 1) AS subject FROM source"""
        table = read(FRAME, query=query, target="answer", group="subject")
        check(table)
        assert table.targets.tolist() == [False, True, True]
        assert table.groups.tolist() == [2.0, 1.0, 2.0]
        assert table.times[0] == np.datetime64("2020-01-01")

    def test_text_that_is_all_numbers_is_a_feature(self) -> None:
        check(read(FRAME.astype({"right": str})))


def change(row: int, column: str, value: object) -> pd.DataFrame:
    frame = FRAME.astype({column: object})
    frame.loc[row, column] = value
    return frame


class TestErrors:
    @pytest.mark.parametrize(
        ("source", "arguments", "error", "message"),
        [
            (FRAME, {"series": "Trials"}, TableError, "no column 'Trials'.*trial, ms, .*\n.*mean 'trial'"),
            (FRAME, {"features": ["nose"]}, TableError, "no column 'nose'. The columns are: trial"),
            (
                FRAME,
                {"features": ["answer"]},
                TableError,
                "'answer' is not numeric: row 1, of series b, has 'yes'",
            ),
            (FRAME, {"features": []}, TableError, "no numeric column is left"),
            (
                FRAME,
                {"query": "SELECT *, DATE '2020-01-01' AS d FROM source", "features": ["d"]},
                TableError,
                "DATE",
            ),
            (change(2, "ms", 20), {}, TableError, "series b has more than one row for 'ms' 20"),
            (
                change(2, "answer", "no"),
                {"target": "answer"},
                TableError,
                "series b has no and yes.\n.*per_step",
            ),
            (change(2, "subject", 5), {"group": "subject"}, TableError, "'subject' must be .* b has 1 and 5"),
            (
                change(3, "answer", None),
                {"target": "answer"},
                TableError,
                "missing in 1 rows; .* row 4, of series a",
            ),
            (
                change(3, "phase", np.nan),
                {"target": "phase", "per_step": True},
                TableError,
                "'phase' is missing",
            ),
            (change(1, "trial", None), {}, TableError, "'trial' is missing in 1 rows; the first is row 2"),
            (
                change(1, "ms", None),
                {},
                TableError,
                "'ms' is missing in 1 rows; the first is row 2, of series a",
            ),
            (
                change(1, "right", "n/a"),
                {},
                TableError,
                "'right' is not numeric: row 2, of series a, has 'n/a'",
            ),
            (change(1, "right", "n/a").astype({"right": str}), {"features": None}, TableError, "numbers, but is text"),
            (
                FRAME.assign(left=1e300),
                {},
                NonFiniteError,
                r"sequence 0 has inf at step 0, feature 0 \(left\)",
            ),
            (FRAME[:0], {}, EmptyDataError, "no rows"),
            (FRAME, {"query": "SELEC 1"}, TableError, "the query is not SQL"),
            (FRAME, {"query": "SELECT nose FROM source"}, TableError, "the query failed: .*nose"),
            (FRAME, {"query": "SELECT 1; SELECT 2"}, TableError, "must be one SELECT, but is 2"),
            (FRAME, {"query": "DROP TABLE source"}, TableError, "must be one SELECT"),
            (
                FRAME,
                {"query": "SELECT * REPLACE (error('x') AS ms) FROM source"},
                TableError,
                "cannot be read",
            ),
            (None, {}, TableError, "nothing to read"),
            (3, {}, TableError, "a int cannot be read as a table"),
        ],
    )
    def test_is_named(self, source: object, arguments: dict, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            read(source, **arguments)

    def test_nan_in_a_file_is_missing(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("trial,ms,left,right,y\na,1,nan,2,3.5\na,2,5,6,nan\n")
        assert np.isnan(read(tmp_path / "x.csv").sequences[0][0, 0])
        with pytest.raises(TableError, match="'y' is missing in 1 rows; the first is row 2"):
            read(tmp_path / "x.csv", target="y")

    def test_a_number_that_is_none_far_down(self, tmp_path: Path) -> None:
        rows = "".join(f"a,{t},1,2\n" for t in range(30_000))
        (tmp_path / "x.csv").write_text(f"trial,ms,left,right\n{rows}b,0,1,oops\n")
        with pytest.raises(TableError, match="'right' is not numeric: row 30001, of series b, has 'oops'"):
            read(tmp_path / "x.csv")

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        (tmp_path / "trials.csv").write_text("a\n1\n")
        with pytest.raises(DataFileNotFoundError, match=r"no file .*trails.csv.\n.*: trials.csv"):
            read(tmp_path / "trails.csv")
        with pytest.raises(DataFileNotFoundError, match="there is no folder"):
            read(tmp_path / "none" / "x.csv")
        with pytest.raises(DataFileNotFoundError, match="no file"):
            read(tmp_path / "none-*.csv")

    @pytest.mark.parametrize(
        ("name", "content", "error", "message"),
        [
            ("x.csv", b"", EmptyDataError, "is empty"),
            ("x.csv", b"trial,ms,left,right\n", EmptyDataError, "no rows"),
            ("x.xlsx", b"PK", FormatError, "ends in '.xlsx'; what can be read ends in .csv"),
            ("x", b"PK", FormatError, "ends in ''"),
            ("x.parquet", b"trial,ms\n", TableError, "cannot be read: .*x.parquet"),
            ("x.json", b"{nonsense", TableError, "cannot be read"),
            ("x.duckdb", b"nonsense" * 1000, FormatError, "cannot be opened by DuckDB"),
            ("x.csv", b"\x00\xff\xfe\x81" * 100, LongspanError, "."),
        ],
    )
    def test_a_file_that_is_no_table(self, tmp_path: Path, name, content, error, message) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(error, match=message):
            read(tmp_path / name)

    def test_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").mkdir()
        with pytest.raises(FormatError, match="is a folder"):
            read(tmp_path / "x.csv")

    def test_a_database_of_several_tables(self, tmp_path: Path) -> None:
        to_duckdb(tmp_path / "x.duckdb")
        with duckdb.connect(tmp_path / "x.duckdb") as connection:
            connection.execute("CREATE TABLE others AS SELECT 1 AS a")
        check(read(tmp_path / "x.duckdb", table="trials"))
        with pytest.raises(TableError, match=r"table= must name one .*: others, trials"):
            read(tmp_path / "x.duckdb")
        with pytest.raises(TableError, match=r"there is no table 'third' .*: others, trials"):
            read(tmp_path / "x.duckdb", table="third")

    def test_another_kind_of_database(self, tmp_path: Path) -> None:
        sqlite3.connect(tmp_path / "x.db").execute("CREATE TABLE t (a)").connection.close()
        with pytest.raises(LongspanError):
            read(tmp_path / "x.db")


class TestWriteTable:
    @pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl"])
    def test_comes_back(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"it's.{suffix}"
        columns = {
            "trial": np.array(["b", "a"]),
            "x": np.array([0.25, np.nan]),
            'odd "name"': np.array([3, 4]),
            "label": np.array(["yes", "no"], object),
        }
        write_table(path, columns)
        table = read_table(path, series="trial", target="label")
        assert table.feature_names == ("x", 'odd "name"')
        assert table.sequences[1].tolist() == [[0.25, 3]]
        assert np.isnan(table.sequences[0][0, 0])
        assert table.targets.tolist() == ["no", "yes"]
        assert list(tmp_path.iterdir()) == [path]

    def test_days_are_written_as_dates(self, tmp_path: Path) -> None:
        days = np.array(["2024-02-29", "2024-03-01"], "datetime64[D]")
        write_table(tmp_path / "x.csv", {"day": days})
        assert (tmp_path / "x.csv").read_text("utf-8").split() == ["day", "2024-02-29", "2024-03-01"]
        write_table(tmp_path / "x.parquet", {"day": days})
        assert duckdb.sql(f"SELECT typeof(day) FROM '{tmp_path / 'x.parquet'}'").fetchall() == [("DATE",)] * 2

    def test_refuses(self, tmp_path: Path) -> None:
        with pytest.raises(FormatError, match=r"must end in one of \.csv"):
            write_table(tmp_path / "x.xlsx", {"a": np.zeros(2)})
        with pytest.raises(TableError, match=r"a: \(2,\), b: \(3,\)"):
            write_table(tmp_path / "x.csv", {"a": np.zeros(2), "b": np.zeros(3)})
        with pytest.raises(TableError, match="are none"):
            write_table(tmp_path / "x.csv", {})
        with pytest.raises(DataFileNotFoundError, match="no folder"):
            write_table(tmp_path / "none" / "x.csv", {"a": np.zeros(2)})
        assert not list(tmp_path.iterdir())


def test_reading_imports_neither_pandas_nor_arrow_nor_torch(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("s,x\n1,2\n")
    code = (
        "import sys, longspan.io\n"
        "assert 'duckdb' not in sys.modules\n"
        f"longspan.io.read_table({str(tmp_path / 'x.csv')!r}, series='s')\n"
        "assert not {'pandas', 'pyarrow', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
