"""`.ts` files: small ones by hand against known values, and each way to break the format."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from longspan.errors import DataFileNotFoundError, FormatError, TargetError
from longspan.io import TsData, read_ts, write_ts
from longspan.sequences import Sequences

VOWELS = """\
#a comment
%another

@problemName Vowels
@timeStamps false
@missing true
@UNIVARIATE false
@dimensions 2
@equalLength false
@classLabel true 1 two
@data
1.5,2,3:4,5,?:1
# between
-7,NaN : 8e1,9:two
"""


def read(tmp_path: Path, text: str) -> TsData:
    path = tmp_path / "small.ts"
    path.write_bytes(text.encode())
    return read_ts(path)


class TestReading:
    def test_ragged_with_features_and_gaps(self, tmp_path: Path) -> None:
        data = read(tmp_path, VOWELS)
        nan = np.nan
        assert data.sequences == Sequences.from_list([[[1.5, 4], [2, 5], [3, nan]], [[-7, 80], [nan, 9]]])
        assert data.targets.tolist() == ["1", "two"]
        assert data.name == "Vowels"
        assert data.metadata["classlabel"] == "true 1 two"

    def test_line_ends_and_a_byte_order_mark(self, tmp_path: Path) -> None:
        expected = read(tmp_path, VOWELS).sequences
        assert read(tmp_path, "\ufeff" + VOWELS.replace("\n", "\r\n")).sequences == expected

    def test_regression(self, tmp_path: Path) -> None:
        data = read(tmp_path, "@targetLabel\ttrue\n@DATA\n1,2:0.25\n3,4:-1\n")
        assert data.targets.tolist() == [0.25, -1.0]
        assert data.name == "small"

    def test_no_targets(self, tmp_path: Path) -> None:
        data = read(tmp_path, "@classLabel false\n@data\n1,2:3,4\n")
        assert data.targets is None
        assert data.sequences[0].tolist() == [[1, 3], [2, 4]]

    def test_time_stamps_are_read_over(self, tmp_path: Path) -> None:
        header = "@timeStamps true\n@classLabel true a\n@data\n"
        data = read(tmp_path, header + "(2007-01-01 00:00:00,1.5),(2007-01-01 00:01:00,?):a\n")
        assert data.sequences == Sequences.from_list([[1.5, np.nan]])
        data = read(tmp_path, "@timeStamps true\n@data\n(0,1),(1,2):(0,3), (1,4)\n")
        assert data.sequences[0].tolist() == [[1, 3], [2, 4]]


class TestErrors:
    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("@data", "#data", "line 12 stands before @data"),
            (VOWELS, "", "there is no @data line"),
            (VOWELS, "@data\n", "there are no sequences after"),
            (VOWELS, "hello\n", "line 1 stands before @data.*'hello'"),
            ("4,5,?", "4,5", "line 12: dimension 1 has 2 values, but dimension 0 has 3"),
            (" : 8e1,9", "", "line 14: there are 1 dimensions, but 2 were expected"),
            ("9:two", "9:2:two", "line 14: dimension 2 has 1 values"),
            ("9:two", "9:1,2:two", "line 14: there are 3 dimensions, but 2 were expected"),
            ("9:two", "9:three", "line 14: the label 'three' is not among those of @classLabel"),
            ("4,5,?:1", "4", "line 12: the label '4' is not among"),
            ("1.5,2,3:4,5,?:1", "1.5", "line 12: the label after the last colon is not there"),
            ("1.5", "l.5", "line 12: could not convert string to float: 'l.5'"),
            ("1.5", "", "line 12: could not convert string to float: ''"),
            (
                "@equalLength false",
                "@equalLength true",
                "line 14: there are 2 steps, but @equalLength is true",
            ),
            ("@dimensions 2", "@dimensions two", "@dimensions must be a whole number, but is 'two'"),
            ("@timeStamps false", "@timeStamps true", r"line 12: expected \(time,value\) pairs"),
            ("true 1 two", "false", "line 12: dimension 2 has 1 values"),
        ],
    )
    def test_is_named(self, tmp_path: Path, old: str, new: str, message: str) -> None:
        assert old in VOWELS
        with pytest.raises(FormatError, match=f"small.ts: {message}"):
            read(tmp_path, VOWELS.replace(old, new))

    def test_a_target_that_is_no_number(self, tmp_path: Path) -> None:
        with pytest.raises(FormatError, match="line 3: could not convert string to float: 'x'"):
            read(tmp_path, "@targetLabel true\n@data\n1,2:x\n")

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(DataFileNotFoundError, match="there is no file"):
            read_ts(tmp_path / "none.ts")

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "x.ts").write_bytes(bytes(range(256)) * 10)
        with pytest.raises(FormatError, match="before @data"):
            read_ts(tmp_path / "x.ts")


class TestWriting:
    @given(
        st.lists(st.integers(1, 5), min_size=1, max_size=5),
        st.integers(1, 3),
        st.sampled_from(["text", "number", "none"]),
        st.data(),
    )
    def test_comes_back(self, tmp_path_factory, lengths, features, kind, data) -> None:
        floats = st.floats(-(2.0**100), 2.0**100, width=32) | st.just(np.nan)
        arrays = [data.draw(hnp.arrays(np.float32, (t, features), elements=floats)) for t in lengths]
        sequences = Sequences.from_list(arrays)
        targets = {"text": [f"c{t % 2}" for t in lengths], "number": [t / 7 for t in lengths], "none": None}[kind]
        path = tmp_path_factory.mktemp("ts") / "x.ts"
        write_ts(path, sequences, targets, name="Small")
        found = read_ts(path)
        assert found.sequences == sequences
        assert (None if found.targets is None else found.targets.tolist()) == targets
        assert found.name == "Small"

    @pytest.mark.parametrize("targets", [["a"], ["a b", "c"], ["a:b", "c"], ["", "c"]])
    def test_refuses(self, tmp_path: Path, targets: list[str]) -> None:
        with pytest.raises(TargetError):
            write_ts(tmp_path / "x.ts", Sequences.from_list([[1.0], [2.0]]), targets)
        assert not list(tmp_path.iterdir())
