"""Model files: the weights and the configuration of a model in one file, which never runs code.

A model file is a safetensors file, so any safetensors reader opens it. Its metadata has one entry,
``longspan``: a JSON object of ``sha256``, ``format_version`` and ``config``. The checksum is that of
the whole file with 64 zeros in the place of the checksum, so no bit of the file is outside it.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from longspan.errors import ModelFileError, ParameterError
from longspan.io._paths import existing_file
from longspan.sequences import replacing

__all__ = ["FORMAT_VERSION", "read_model", "write_model"]

FORMAT_VERSION = 1

_NO_CHECKSUM = "0" * 64
# In the header, the JSON of the entry is a JSON string itself, so its quotes are escaped.
_CHECKSUM_KEY = b'{\\"sha256\\":\\"'
_LONGEST_HEADER = 100_000_000  # the limit that safetensors itself keeps


def write_model(path: str | PathLike[str], config: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write a model file, whole or not at all; an older file at `path` stays until then.

    Parameters
    ----------
    path : str or path
    config : dict
        Of None, bool, int, finite float, str, and lists and dicts of these. Tuples come back as lists.
    tensors : dict of str to array
        Arrays of any shape, of numbers or bools.

    Raises
    ------
    ParameterError
        The configuration is not plain, or a tensor is of a type that safetensors has not.
    DataFileNotFoundError
        The folder is not there.
    OSError
        The disk is full, or the folder may not be written to. The old file is still there.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "tiny.longspan"
    >>> write_model(path, {"hidden_size": 8}, {"bias": np.arange(3.0)})
    >>> config, tensors = read_model(path)
    >>> config, tensors["bias"].tolist()
    ({'hidden_size': 8}, [0.0, 1.0, 2.0])
    """
    _check_plain(config, "config", depth=0)
    about = {"sha256": _NO_CHECKSUM, "format_version": FORMAT_VERSION, "config": config}
    metadata = {"longspan": json.dumps(about, allow_nan=False, separators=(",", ":"))}
    blank = save(_checked_tensors(tensors), metadata)
    start = blank.index(_CHECKSUM_KEY) + len(_CHECKSUM_KEY)
    whole = memoryview(blank)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(whole[:start])
        file.write(hashlib.sha256(blank).hexdigest().encode())
        file.write(whole[start + len(_NO_CHECKSUM) :])


def read_model(path: str | PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read a model file that `write_model` wrote.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    config : dict
    tensors : dict of str to array

    Raises
    ------
    DataFileNotFoundError
        There is no such file.
    ModelFileError
        It is a folder, another kind of file, damaged, or of a later format.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise ModelFileError(f"{path} is not a model file: it is a folder or a device.")
    path = existing_file(path)
    header = _read_header(path)
    about = _read_about(path, header)
    _check_version(path, about)
    config, checksum = about.get("config"), about.get("sha256")
    if not isinstance(config, dict) or not isinstance(checksum, str):
        _refuse_foreign(path)
    if checksum != _checksum(path, header):
        raise ModelFileError(
            f"{path} is damaged: its contents do not match the checksum in it.\n"
            "  Part of it was cut off or changed. Copy it again, or save the model again."
        )
    try:
        return config, {name: np.array(tensor) for name, tensor in load_file(path).items()}
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path} is damaged: {error}") from error


def _check_plain(value: Any, place: str, *, depth: int) -> None:
    if depth > 50:
        raise ParameterError(f"{place} lies too deep, or holds itself.")
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if not isinstance(key, str):
                raise ParameterError(f"the key {key!r} in {place} must be text, to be written as JSON.")
            _check_plain(entry, f"{place}[{key!r}]", depth=depth + 1)
    elif isinstance(value, list | tuple):
        for n, entry in enumerate(value):
            _check_plain(entry, f"{place}[{n}]", depth=depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ParameterError(f"{place} is {value}, which JSON cannot hold. Use None, or text.")
    elif not isinstance(value, None | bool | int | float | str):
        raise ParameterError(f"{place} is a {type(value).__name__}, which JSON cannot hold: {value!r:.60}")


def _checked_tensors(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    arrays = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise ParameterError(f"the tensor {name!r} has dtype {array.dtype}, which a model file cannot hold.")
        if name == "__metadata__":
            raise ParameterError("no tensor may have the name '__metadata__'.")
    return arrays


def _read_header(path: Path) -> bytes:
    """Return the first bytes of the file: the length of the header, and the header."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(size - 8, _LONGEST_HEADER):
            _refuse_foreign(path)
        return start + file.read(length)


def _read_about(path: Path, header: bytes) -> dict[str, Any]:
    try:
        entries = json.loads(header[8:].decode(), object_pairs_hook=_without_twins)
        about = json.loads(entries["__metadata__"]["longspan"], object_pairs_hook=_without_twins)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        _refuse_foreign(path, error)
    if not isinstance(about, dict):
        _refuse_foreign(path)
    return about


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a key stands twice in the header")
    return entries


def _check_version(path: Path, about: dict[str, Any]) -> None:
    version = about.get("format_version")
    if type(version) is not int or version < 1:
        _refuse_foreign(path)
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format version {version}, and this longspan reads up to version {FORMAT_VERSION}.\n"
            "  It was written by a later longspan:  pip install --upgrade longspan"
        )


def _checksum(path: Path, header: bytes) -> str:
    """Return the checksum of the file with zeros in the place of its checksum."""
    before, key, after = header.partition(_CHECKSUM_KEY)
    digest = hashlib.sha256(before + key + _NO_CHECKSUM.encode() + after[len(_NO_CHECKSUM) :])
    with path.open("rb") as file:
        file.seek(len(header))
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _refuse_foreign(path: Path, cause: Exception | None = None) -> NoReturn:
    raise ModelFileError(
        f"{path} is not a longspan model file, or its start is damaged.\n"
        "  Model files are written by the save method of an estimator."
    ) from cause
