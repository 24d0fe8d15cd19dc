"""`Sequences`: round trips, slicing as lists slice, files larger than memory, and every refusal."""

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from longspan.errors import (
    DataError,
    DataFileNotFoundError,
    EmptyDataError,
    FormatError,
    LayoutWarning,
    NonFiniteError,
    ShapeError,
    TableError,
)
from longspan.sequences import Sequences, as_sequences, replacing

floats = st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))


@st.composite
def lists_of_arrays(draw: st.DrawFn) -> list[np.ndarray]:
    features = draw(st.integers(1, 3))
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    return [draw(hnp.arrays(np.float32, (t, features), elements=floats)) for t in lengths]


def ragged() -> Sequences:
    return Sequences.from_list([np.full((t, 2), t, np.float32) for t in (3, 1, 4, 1, 5)])


def same(sequences: Sequences, arrays: list[np.ndarray]) -> bool:
    return len(sequences) == len(arrays) and all(
        np.array_equal(a, b, equal_nan=True) for a, b in zip(sequences, arrays, strict=True)
    )


def test_same_is_shown_to_fail() -> None:
    arrays = ragged().to_list()
    assert same(ragged(), arrays)
    assert not same(ragged(), arrays[:4])
    assert not same(ragged(), [arrays[1], arrays[0], *arrays[2:]])


class TestInvariants:
    @given(lists_of_arrays())
    def test_a_list_comes_back(self, arrays: list[np.ndarray]) -> None:
        sequences = Sequences.from_list(arrays)
        assert same(sequences, arrays)
        assert sequences == Sequences.from_list(sequences.to_list())
        assert sequences.lengths.tolist() == [len(a) for a in arrays]
        assert sequences.missing.tolist() == [bool(np.isnan(a).any()) for a in arrays]
        assert (sequences.n_steps, sequences.n_features) == (sum(map(len, arrays)), arrays[0].shape[1])

    @given(lists_of_arrays())
    def test_channels_first_is_the_transpose(self, arrays: list[np.ndarray]) -> None:
        assert Sequences.from_channels_first([a.T for a in arrays]) == Sequences.from_list(arrays)

    @given(lists_of_arrays(), st.slices(6))
    def test_slices_as_a_list(self, arrays: list[np.ndarray], part: slice) -> None:
        assert same(Sequences.from_list(arrays)[part], arrays[part])

    @given(lists_of_arrays(), st.data())
    def test_indices_pick_as_a_list(self, arrays: list[np.ndarray], data: st.DataObject) -> None:
        n = len(arrays)
        picks = data.draw(st.lists(st.integers(-n, n - 1)))
        mask = data.draw(hnp.arrays(np.bool_, n))
        sequences = Sequences.from_list(arrays)
        assert same(sequences[picks], [arrays[i] for i in picks])
        assert same(sequences[np.array(picks, np.int32)], [arrays[i] for i in picks])
        assert same(sequences[mask], [a for a, keep in zip(arrays, mask, strict=True) if keep])

    @given(lists_of_arrays(), st.integers(0, 6))
    def test_concatenate_joins_what_a_slice_parted(self, arrays: list[np.ndarray], cut: int) -> None:
        sequences = Sequences.from_list(arrays)
        assert Sequences.concatenate([sequences[:cut], sequences[cut:]]) == sequences

    @given(lists_of_arrays())
    def test_padding_holds_the_sequences_and_the_fill(self, arrays: list[np.ndarray]) -> None:
        padded, lengths = Sequences.from_list(arrays).to_padded(fill=-7.5)
        assert padded.shape == (len(arrays), max(map(len, arrays)), arrays[0].shape[1])
        assert same(Sequences.from_list([p[:t] for p, t in zip(padded, lengths, strict=True)]), arrays)
        assert all((p[t:] == -7.5).all() for p, t in zip(padded, lengths, strict=True))

    @given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=floats))
    def test_an_array_comes_back(self, array: np.ndarray) -> None:
        sequences = Sequences.from_array(array)
        assert sequences.is_dense
        assert np.array_equal(sequences.to_array(), array, equal_nan=True)
        assert sequences == Sequences.from_list(list(array))
        assert sequences == Sequences.from_channels_first(array.transpose(0, 2, 1))

    @given(lists_of_arrays(), st.randoms(use_true_random=False))
    def test_a_shuffled_long_table_comes_back(self, arrays: list[np.ndarray], random: object) -> None:
        series = np.repeat([f"s{n}" for n in range(len(arrays))], [len(a) for a in arrays])
        time = np.concatenate([np.arange(len(a)) for a in arrays])
        rows = list(range(len(series)))
        random.shuffle(rows)  # type: ignore[attr-defined]
        sequences, keys = Sequences.from_long_table(series[rows], time[rows], np.concatenate(arrays)[rows])
        assert keys.tolist() == [f"s{n}" for n in range(len(arrays))]
        assert same(sequences, arrays)

    @settings(max_examples=30)
    @given(lists_of_arrays(), st.booleans())
    def test_a_file_comes_back(self, tmp_path_factory: pytest.TempPathFactory, arrays, mmap) -> None:
        path = tmp_path_factory.mktemp("saved") / "x.sequences"
        sequences = Sequences.from_list(arrays)
        sequences.save(path)
        assert Sequences.load(path, mmap=mmap) == sequences


class TestViews:
    def test_float32_is_not_copied(self) -> None:
        array = np.zeros((4, 5, 2), np.float32)
        assert np.shares_memory(as_sequences(array).values, array)

    def test_sequences_and_slices_are_views(self) -> None:
        sequences = ragged()
        assert np.shares_memory(sequences[2], sequences.values)
        assert np.shares_memory(sequences[1:3].values, sequences.values)
        assert sequences[-1].tolist() == [[5, 5]] * 5

    def test_names_travel(self) -> None:
        sequences = Sequences([[1, 2], [3, 4]], [0, 1, 2], ["left", "right"])
        assert sequences[1:].feature_names == sequences[[0]].feature_names == ("left", "right")
        assert sequences.with_values([[1], [2]]).feature_names is None

    def test_attributes_cannot_be_set(self) -> None:
        with pytest.raises(AttributeError):
            ragged().values = np.zeros((2, 2))  # type: ignore[misc]

    def test_pickle_keeps_all(self) -> None:
        sequences = Sequences([[1, 2], [3, np.nan]], [0, 1, 2], ["left", "right"])
        copy = pickle.loads(pickle.dumps(sequences))
        assert copy == sequences
        assert copy.feature_names == ("left", "right")


@pytest.mark.parametrize(
    ("sequences", "text"),
    [
        (ragged(), "Sequences(5 sequences, 1 to 5 steps, 2 features, 0.0 MB)"),
        (Sequences.from_array(np.zeros((1, 1, 1))), "Sequences(1 sequence, 1 step, 1 feature, 0.0 MB)"),
        (
            Sequences.from_array(np.zeros((50, 20, 250))),
            "Sequences(50 sequences, 20 steps, 250 features, 1.0 MB)",
        ),
        (ragged()[:0], "Sequences(0 sequences, 0 steps, 2 features, 0.0 MB)"),
    ],
)
def test_repr(sequences: Sequences, text: str) -> None:
    assert repr(sequences) == text


def test_equality() -> None:
    assert ragged() != ragged()[:4]
    assert ragged() != ragged().with_values(ragged().values + 1)
    assert Sequences([[1.0], [2.0]], [0, 1, 2]) != Sequences([[1.0], [2.0]], [0, 2])
    assert ragged() != "ragged"


class TestAsSequences:
    def test_two_axes_are_univariate(self) -> None:
        sequences = as_sequences([[1, 2, 3], [4, 5, 6]])
        assert sequences[1].tolist() == [[4], [5], [6]]
        assert as_sequences(np.array([[1, 2, 3], [4, 5, 6]])) == sequences

    def test_every_kind_reads_the_same(self, tmp_path: Path) -> None:
        array = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
        expected = as_sequences(array)
        objects = np.empty(4, object)
        objects[:] = list(array)
        np.save(tmp_path / "x.npy", array)
        read_only = array.copy()
        read_only.flags.writeable = False
        for kind in (
            torch.tensor(array, requires_grad=True),
            objects,
            np.load(tmp_path / "x.npy", mmap_mode="r"),
            read_only,
            np.asfortranarray(array),
            array.astype(object),
            array.astype(np.float64),
            tuple(torch.tensor(a) for a in array),
            [pd.DataFrame(a) for a in array],
            array.tolist(),
            expected,
        ):
            assert as_sequences(kind) == expected
        frame = pd.DataFrame(array[:, :, 0])
        assert as_sequences(frame) == as_sequences(array[:, :, 0])

    @pytest.mark.parametrize(
        ("X", "error", "message"),
        [
            (np.zeros((2, 2, 2, 2)), ShapeError, r"has shape \(2, 2, 2, 2\)"),
            (np.zeros(3), ShapeError, "Reshape your data"),
            ([1.0, 2.0], ShapeError, "Reshape your data"),
            ([], EmptyDataError, "no sequences"),
            (np.zeros((0, 3, 2)), EmptyDataError, "no sequences"),
            (ragged()[:0], EmptyDataError, "no sequences"),
            (
                np.zeros((12, 0)),
                EmptyDataError,
                r"0 feature\(s\) \(shape=\(12, 0\)\) while a minimum of 1 is",
            ),
            ([np.zeros((3, 2)), np.zeros((0, 2))], EmptyDataError, "sequence 1 has no steps"),
            ([np.zeros((3, 0))], ShapeError, "sequence 0 has no features"),
            ([np.zeros((3, 2)), np.zeros((3, 1, 2))], ShapeError, r"sequence 1 .* shape \(3, 1, 2\)"),
            ([np.zeros((3, 12)), np.zeros((4, 5))], ShapeError, "sequence 1 has 5 features, .* 0 has 12"),
            ([np.zeros((3, 12)), np.zeros((3, 5))], ShapeError, "from_channels_first"),
            (
                [np.zeros((3, 2)), [[1, 2], [3, np.nan]]],
                NonFiniteError,
                "sequence 1 has NaN at step 1, feature 1",
            ),
            ([np.zeros((3, 2)), [[1, np.inf]]], NonFiniteError, "sequence 1 has inf at step 0, feature 1"),
            (
                np.array([[0.0, 1e300]]),
                NonFiniteError,
                "sequence 0 has inf at step 1.*\n.*too large for float32",
            ),
            ([[0, 10**400]], DataError, "sequence 0 cannot be read as an array of numbers"),
            (np.array([["a", "b"]]), DataError, "dtype <U1, and only numbers"),
            ([["a", "b"]], DataError, "sequence 0 has dtype <U1"),
            (np.array([["a", 1]], object), DataError, "X cannot be read .*'a'"),
            (np.array([[{"a": 1}]], object), TypeError, "argument must be .* string.* number"),
            (np.array([["2020-01-01"]], "M8[D]"), DataError, "only numbers"),
            (np.array([[1j]]), DataError, "Complex data not supported"),
            (scipy.sparse.csr_array(np.eye(3)), TypeError, "sparse"),
            ([scipy.sparse.csr_array(np.eye(3))], TypeError, "sequence 0 is sparse"),
            (None, ShapeError, r"shape \(\)"),
        ],
    )
    def test_refuses(self, X: object, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            as_sequences(X)

    def test_missing_may_be_allowed_but_infinity_never(self) -> None:
        sequences = as_sequences([[1.0, np.nan], [2.0]], allow_missing=True)
        assert sequences.missing.tolist() == [True, False]
        with pytest.raises(NonFiniteError, match="NaN"):
            as_sequences(sequences)
        with pytest.raises(NonFiniteError, match="sequence 0 has inf at step 1"):
            as_sequences([[np.nan, -np.inf]], allow_missing=True)

    def test_the_name_of_the_feature_is_in_the_error(self) -> None:
        with pytest.raises(NonFiniteError, match=r"feature 1 \(right\)"):
            as_sequences(Sequences([[1, np.nan]], [0, 1], ["left", "right"]))

    def test_the_place_is_right_beyond_one_chunk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("longspan.sequences._checks._CHUNK", 4)
        values = np.zeros((9, 2))
        values[7, 1] = np.nan
        sequences = Sequences(values, [0, 4, 6, 9])
        assert sequences.missing.tolist() == [False, False, True]
        with pytest.raises(NonFiniteError, match="sequence 2 has NaN at step 1, feature 1"):
            as_sequences(sequences)


class TestLayout:
    @pytest.mark.parametrize("X", [np.zeros((5, 6, 100)), list(np.zeros((5, 6, 100))), np.zeros((5, 1, 24))])
    def test_swapped_axes_are_warned_of_and_kept(self, X: object) -> None:
        with pytest.warns(LayoutWarning, match="from_channels_first") as caught:
            sequences = as_sequences(X)
        assert sequences.n_features in (100, 24)
        assert caught[0].filename == __file__
        assert as_sequences(X, warn_layout=False) == sequences

    @pytest.mark.parametrize("shape", [(5, 100, 60), (5, 100, 6), (5, 6, 20), (5, 1, 3), (5, 20, 64)])
    def test_plausible_shapes_are_silent(self, shape: tuple[int, ...]) -> None:
        assert as_sequences(np.zeros(shape)).n_features == shape[2]

    def test_ragged_sequences_that_agree_in_features_are_silent(self) -> None:
        assert as_sequences([np.zeros((5, 300)), np.zeros((7, 300))]).n_features == 300


class TestConstructor:
    @pytest.mark.parametrize(
        ("values", "offsets", "names", "error", "message"),
        [
            (np.zeros(3), [0, 3], None, ShapeError, r"shape \(3,\)"),
            (np.zeros((3, 0)), [0, 3], None, ShapeError, r"shape \(3, 0\)"),
            (np.zeros((3, 2)), [0, 2], None, ShapeError, "run from 0 to 3, but run from 0 to 2"),
            (np.zeros((3, 2)), [1, 3], None, ShapeError, "run from 0 to 3, but run from 1 to 3"),
            (np.zeros((3, 2)), [0, 1, 1, 3], None, EmptyDataError, "sequence 1 has no steps"),
            (np.zeros((3, 2)), [0, 2, 1, 3], None, EmptyDataError, "offsets are 2 and 1"),
            (np.zeros((3, 2)), [0.0, 3.0], None, ShapeError, "float64"),
            (np.zeros((3, 2)), [], None, ShapeError, "integers"),
            (np.zeros((3, 2)), [0, 3], ["a"], ShapeError, "2 names"),
            (np.zeros((3, 2)), [0, 3], "ab", ShapeError, "2 names"),
        ],
    )
    def test_refuses(self, values, offsets, names, error, message) -> None:
        with pytest.raises(error, match=message):
            Sequences(values, offsets, names)

    @pytest.mark.parametrize("index", [5, -6, [0, 5], [-6], [0.5], [True, False], np.zeros((2, 2), int)])
    def test_an_index_out_of_place(self, index: object) -> None:
        with pytest.raises(IndexError):
            ragged()[index]

    def test_ragged_does_not_fit_an_array(self) -> None:
        with pytest.raises(ShapeError, match="1 to 5 steps"):
            ragged().to_array()

    def test_concatenate_refuses(self) -> None:
        with pytest.raises(EmptyDataError, match="nothing to concatenate"):
            Sequences.concatenate([])
        with pytest.raises(ShapeError, match="part 1 has 1 features, but part 0 has 2"):
            Sequences.concatenate([ragged(), Sequences.from_list([[1.0]])])

    def test_channels_first_refuses(self) -> None:
        with pytest.raises(ShapeError, match=r"\(N, features, steps\)"):
            Sequences.from_channels_first(np.zeros((3, 2)))
        with pytest.raises(ShapeError, match=r"sequence 0 must have shape \(features, steps\)"):
            Sequences.from_channels_first([np.zeros((1, 2, 3))])


class TestLongTable:
    def test_order_is_of_keys_then_time(self) -> None:
        time = np.array(["2020-01-02", "2020-01-01", "2020-01-01"], "M8[D]")
        sequences, keys = Sequences.from_long_table([7, 7, 3], time, [[1, 2], [3, 4], [5, 6]], ["a", "b"])
        assert keys.tolist() == [3, 7]
        assert [s.tolist() for s in sequences] == [[[5, 6]], [[3, 4], [1, 2]]]
        assert sequences.feature_names == ("a", "b")

    def test_without_time_rows_keep_their_order(self) -> None:
        sequences, _ = Sequences.from_long_table(["b", "a", "b"], None, [3, 1, 2])
        assert [s.ravel().tolist() for s in sequences] == [[1], [3, 2]]

    @pytest.mark.parametrize(
        ("series", "time", "message"),
        [
            (["a", "b", "b"], [1, 4, 4], "series b has more than one row for time 4"),
            (["a", "b"], [1, 2, 3], r"series must have one entry for each of 3 rows, but has shape \(2,\)"),
            (np.array(["a", None, "b"], object), [1, 2, 3], "series is missing in row 1"),
            (["a", "a", "b"], [1, 2, np.nan], "time is missing in row 2"),
        ],
    )
    def test_refuses(self, series: object, time: object, message: str) -> None:
        with pytest.raises(TableError, match=message):
            Sequences.from_long_table(series, time, [1.0, 2.0, 3.0])


class TestFiles:
    def test_a_slice_stays_on_disk(self, tmp_path: Path) -> None:
        path = tmp_path / "x.sequences"
        Sequences(np.arange(12).reshape(6, 2), [0, 1, 4, 6], ["a", "b"]).save(path)
        loaded = Sequences.load(path)
        assert isinstance(loaded.values.base, np.memmap)
        assert np.shares_memory(loaded[1:].values, loaded.values)
        assert loaded[1:][0].tolist() == [[2, 3], [4, 5], [6, 7]]
        assert loaded.feature_names == ("a", "b")
        assert np.shares_memory(as_sequences(loaded).values, loaded.values)

    def test_no_sequences_come_back(self, tmp_path: Path) -> None:
        ragged()[:0].save(tmp_path / "x")
        assert len(Sequences.load(tmp_path / "x")) == 0

    def test_any_safetensors_reader_reads_it(self, tmp_path: Path) -> None:
        from safetensors.numpy import load_file

        ragged().save(tmp_path / "x")
        tensors = load_file(tmp_path / "x")
        assert tensors["offsets"].tolist() == [0, 3, 4, 8, 9, 14]
        assert np.array_equal(tensors["values"], ragged().values)

    def test_every_cut_is_named(self, tmp_path: Path) -> None:
        ragged().save(tmp_path / "x")
        whole = (tmp_path / "x").read_bytes()
        for size in range(len(whole)):
            (tmp_path / "cut").write_bytes(whole[:size])
            with pytest.raises(FormatError, match="cut"):
                Sequences.load(tmp_path / "cut")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"__metadata__": {"format": "another"}}, "not a file that Sequences.save wrote"),
            ({"__metadata__": {"format": "longspan sequences 1", "feature_names": "5"}}, "not a file"),
            ({"__metadata__": {"format": "longspan sequences 1", "feature_names": '["a"]'}}, "damaged"),
            ({"offsets": {"shape": [-1]}}, "not a file"),
            ({"offsets": {"shape": [10**30]}}, "damaged"),
            ({"values": {"shape": ["a", 1]}}, "not a file"),
            ({"values": {"shape": [28, 1.0]}}, "not a file"),
            ({"values": {"shape": [7, 4]}}, "damaged: offsets must run from 0 to 7"),
        ],
    )
    def test_a_hostile_header_is_named(self, tmp_path: Path, change: dict, message: str) -> None:
        ragged().save(tmp_path / "x")
        whole = (tmp_path / "x").read_bytes()
        length = int.from_bytes(whole[:8], "little")
        text = json.dumps(json.loads(whole[8 : 8 + length]) | change).encode()
        (tmp_path / "x").write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + length :])
        with pytest.raises(FormatError, match=message):
            Sequences.load(tmp_path / "x")

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xff" * 99, b"a,b\n1,2\n", b"[" * 10**6])
    def test_foreign_files_are_named(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(FormatError, match="not a file that"):
            Sequences.load(tmp_path / "x")

    def test_deep_json_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes((10**5).to_bytes(8, "little") + b"[" * 10**5)
        with pytest.raises(FormatError, match="not a file that"):
            Sequences.load(tmp_path / "x")

    def test_a_missing_file_and_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DataFileNotFoundError, match="there is no file"):
            Sequences.load(tmp_path / "x")
        with pytest.raises(FormatError, match="is a folder"):
            Sequences.load(tmp_path)
        with pytest.raises(DataFileNotFoundError, match="there is no folder"):
            ragged().save(tmp_path / "none" / "x")

    def test_a_failed_write_leaves_the_old_file(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("old")
        with pytest.raises(UnicodeEncodeError), replacing(tmp_path / "x") as temporary:
            temporary.write_text("half" * 10**6 + "\ud800", encoding="utf-8")
        assert (tmp_path / "x").read_text() == "old"
        assert list(tmp_path.iterdir()) == [tmp_path / "x"]
