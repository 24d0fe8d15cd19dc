"""Model files: exact round trips, old files that outlive failed writes, and no damage that goes unnamed."""

import errno
import json
import os
import pickle
import re
import resource
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from longspan.errors import DataFileNotFoundError, ModelFileError, ParameterError
from longspan.io import read_model, write_model
from longspan.io.model_files import FORMAT_VERSION

CONFIG = {
    "task": "classify",
    "hidden_size": 8,
    "lr": 0.1,
    "classes": ["a", "ü", None, True],
    "scale": {"x": []},
}
TENSORS = {
    "weight": np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32),
    "bias": np.arange(5.0),
    "step": np.array(7, np.int64),
    "none": np.zeros((0, 3), np.uint8),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_model(tmp_path / "m.longspan", CONFIG, TENSORS)
    return tmp_path / "m.longspan"


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype.newbyteorder("="), tensor.shape), name
        assert np.array_equal(found[name], tensor, equal_nan=tensor.dtype.kind == "f"), name


def test_assert_same_is_shown_to_fail() -> None:
    for wrong in (
        {"a": np.zeros(3)},
        {"b": np.zeros(2)},
        {"a": np.zeros(2, np.float32)},
        {"a": np.array([0.0, 1.0])},
    ):
        with pytest.raises(AssertionError):
            assert_same(wrong, {"a": np.zeros(2)})


class TestRoundTrip:
    def test_comes_back(self, path: Path) -> None:
        config, tensors = read_model(path)
        assert config == CONFIG
        assert_same(tensors, TENSORS)
        assert all(tensor.flags.writeable for tensor in tensors.values())

    @pytest.mark.parametrize(
        "dtype", ["?", "i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8", ">f4"]
    )
    def test_every_dtype(self, tmp_path: Path, dtype: str) -> None:
        tensors = {"x": np.array([[0, 1, 1], [1, 0, 0]]).astype(dtype), "t": np.ones((2, 3), dtype).T}
        write_model(tmp_path / "m", {}, tensors)
        assert_same(read_model(tmp_path / "m")[1], tensors)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=10,
        )
    )
    def test_every_plain_config(self, tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
        path = tmp_path_factory.mktemp("model") / "m"
        write_model(path, {"value": value}, {})
        assert read_model(path) == ({"value": value}, {})

    def test_any_safetensors_reader_reads_it(self, path: Path) -> None:
        with safe_open(path, "np") as file:
            assert set(file.keys()) == set(TENSORS)
            about = json.loads(file.metadata()["longspan"])
        assert about["config"] == CONFIG
        assert about["format_version"] == FORMAT_VERSION

    def test_a_config_that_looks_like_the_checksum(self, tmp_path: Path) -> None:
        config = {"sha256": "0" * 64, "text": '{\\"sha256\\":\\"' + "0" * 64}
        write_model(tmp_path / "m", config, {'{"sha256":"': np.zeros(2)})
        assert read_model(tmp_path / "m")[0] == config

    def test_the_same_model_gives_the_same_bytes(self, path: Path, tmp_path: Path) -> None:
        write_model(tmp_path / "again", CONFIG, TENSORS)
        assert path.read_bytes() == (tmp_path / "again").read_bytes()


class TestConfig:
    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"a": [1, {"b": np.float32(1)}]}, r"config\['a'\]\[1\]\['b'\] is a float32"),
            ({"a": float("nan")}, r"config\['a'\] is nan"),
            ({"a": -float("inf")}, r"config\['a'\] is -inf"),
            ({"a": {1: 2}}, r"key 1 in config\['a'\]"),
            ({"a": {1, 2}}, "is a set"),
            ({"a": np.zeros(2)}, "is a ndarray"),
        ],
    )
    def test_what_is_not_plain_is_refused(self, tmp_path: Path, config: Any, message: str) -> None:
        with pytest.raises(ParameterError, match=message):
            write_model(tmp_path / "m", config, {})
        assert not list(tmp_path.iterdir())

    def test_a_config_that_holds_itself(self, tmp_path: Path) -> None:
        config: dict[str, Any] = {}
        config["self"] = config
        with pytest.raises(ParameterError, match="holds itself"):
            write_model(tmp_path / "m", config, {})

    @pytest.mark.parametrize("tensor", [np.array(["a"]), np.array([None]), np.array([1j]), np.array([1], "M8[D]")])
    def test_what_is_no_tensor_is_refused(self, tmp_path: Path, tensor: np.ndarray) -> None:
        with pytest.raises(ParameterError, match="tensor 'x' has dtype"):
            write_model(tmp_path / "m", {}, {"x": tensor})

    def test_the_reserved_name(self, tmp_path: Path) -> None:
        with pytest.raises(ParameterError, match="__metadata__"):
            write_model(tmp_path / "m", {}, {"__metadata__": np.zeros(1)})


class TestDamage:
    def test_every_cut(self, path: Path) -> None:
        whole = path.read_bytes()
        for size in [*range(0, len(whole), 1000), *range(20), len(whole) - 1]:
            path.write_bytes(whole[:size])
            with pytest.raises(ModelFileError, match=r"m\.longspan"):
                read_model(path)

    def test_flipped_bits(self, path: Path) -> None:
        whole = path.read_bytes()
        header = 8 + int.from_bytes(whole[:8], "little")
        bits = [*range(64), *range(64, header * 8, 5), *range(header * 8, len(whole) * 8, 1001)]
        for bit in bits:
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            with pytest.raises(ModelFileError):
                read_model(path)

    def test_bytes_added(self, path: Path) -> None:
        path.write_bytes(path.read_bytes() + b"\0")
        with pytest.raises(ModelFileError, match="damaged"):
            read_model(path)

    def test_a_later_version_is_named(self, path: Path) -> None:
        old, new = b'format_version\\":1', b'format_version\\":2'
        path.write_bytes(path.read_bytes().replace(old, new))
        with pytest.raises(ModelFileError, match=r"format version 2, .* up to version 1"):
            read_model(path)


def with_header(text: bytes, payload: bytes = b"") -> bytes:
    return len(text).to_bytes(8, "little") + text + payload


def about(entry: Any, **tensors: Any) -> bytes:
    return with_header(json.dumps({"__metadata__": {"longspan": entry}, **tensors}).encode())


HOSTILE = {
    "empty": b"",
    "text": b"hello, this is no model\n" * 100,
    "huge length": (2**63).to_bytes(8, "little") + b"{}",
    "length beyond the end": (1000).to_bytes(8, "little") + b"{}",
    "deep": with_header(b"[" * 1_000_000),
    "deep inside": about("[" * 1_000_000),
    "no utf-8": with_header(b'{"__metadata__": {"longspan": "\xff\xfe"}}'),
    "twins": with_header(b'{"__metadata__": {"longspan": "{}"}, "__metadata__": {"longspan": "{}"}}'),
    "twins inside": about('{"format_version":1,"format_version":1}'),
    "list": with_header(b"[1, 2]"),
    "number": with_header(b"5"),
    "entry is no text": about(5),
    "entry is no object": about("[]"),
    "no version": about("{}"),
    "version is no number": about('{"format_version":"1"}'),
    "version is true": about('{"format_version":true}'),
    "version is zero": about('{"format_version":0}'),
    "no checksum": about('{"format_version":1,"config":{}}'),
    "config is no object": about('{"sha256":"0","format_version":1,"config":[]}'),
    "long number": about('{"format_version":' + "9" * 10_000 + "}"),
}


class TestForeign:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_bytes(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "m").write_bytes(HOSTILE[name])
        with pytest.raises(ModelFileError, match="is not a longspan model file"):
            read_model(tmp_path / "m")

    def test_tensors_that_lie_under_a_right_checksum(self, tmp_path: Path) -> None:
        import hashlib

        entry = '{"sha256":"' + "0" * 64 + '","format_version":1,"config":{}}'
        huge = {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 2**62]}
        blank = about(entry, weight=huge)
        (tmp_path / "m").write_bytes(blank.replace(b"0" * 64, hashlib.sha256(blank).hexdigest().encode()))
        with pytest.raises(ModelFileError, match="damaged"):
            read_model(tmp_path / "m")

    def test_other_kinds_of_file(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
            archive.writestr("data.pkl", b"x" * 1000)
        (tmp_path / "pickle").write_bytes(pickle.dumps({"a": list(range(1000))}))
        save_file({"a": np.zeros(3)}, tmp_path / "safetensors")
        save_file({"a": np.zeros(3)}, tmp_path / "other", {"format": "pt"})
        for name in ("zip", "pickle", "safetensors", "other"):
            with pytest.raises(ModelFileError, match=f"{name} is not a longspan model file"):
                read_model(tmp_path / name)

    def test_a_folder_a_pipe_and_nothing(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        for place in (tmp_path, tmp_path / "pipe"):
            with pytest.raises(ModelFileError, match="folder or a device"):
                read_model(place)
        (tmp_path / "speaker.longspan").touch()
        with pytest.raises(DataFileNotFoundError, match=re.escape(f"Similar names in {tmp_path}: speaker.longspan")):
            read_model(tmp_path / "speeker.longspan")


class TestFullDisk:
    @pytest.mark.parametrize("step", ["fsync", "replace"])
    def test_the_old_model_stays(self, path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
        def full(*_: object) -> NoReturn:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(*{"fsync": (os, "fsync", full), "replace": (Path, "replace", full)}[step])
        with pytest.raises(OSError, match="No space left"):
            write_model(path, {}, {})
        assert read_model(path)[0] == CONFIG
        assert list(path.parent.iterdir()) == [path]

    def test_a_real_limit_on_the_size_of_files(self, path: Path) -> None:
        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

        code = (
            "import signal, sys, numpy as np\n"
            "from longspan.io import write_model\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "try:\n"
            "    write_model(sys.argv[1], {}, {'x': np.zeros(100_000)})\n"
            "except OSError:\n"
            "    sys.exit(7)\n"
        )
        done = subprocess.run([sys.executable, "-B", "-c", code, path], preexec_fn=limit, check=False)
        assert done.returncode == 7
        assert read_model(path)[0] == CONFIG
        assert list(path.parent.iterdir()) == [path]

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(DataFileNotFoundError, match="there is no folder"):
            write_model(tmp_path / "none" / "m", {}, {})

    def test_a_link_stays_a_link(self, path: Path) -> None:
        link = path.with_name("link")
        link.symlink_to(path)
        write_model(link, {"new": 1}, {})
        assert link.is_symlink()
        assert read_model(path)[0] == {"new": 1}


def test_imports_no_torch() -> None:
    code = "import sys; from longspan.io import read_model; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
