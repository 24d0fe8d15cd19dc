"""Files: replacing one atomically, and the header of the file that holds `Sequences`."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longspan.errors import DataFileNotFoundError, FormatError

_FILE_FORMAT = "longspan sequences 1"


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to; it becomes `path` when all went well, else it is removed.

    It lies in the folder of `path`, so that the last step is one rename, and is synced before it.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with replacing(path) as temporary:
    ...     _ = temporary.write_text("whole or not at all")
    >>> path.read_text()
    'whole or not at all'
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise DataFileNotFoundError(f"there is no folder {target.parent} to write {target.name} into.")
    temporary = target.with_name(f".{secrets.token_hex(6)}.tmp")
    try:
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def file_header(offsets: NDArray[np.int64], values: NDArray[np.float32], names: tuple[str, ...] | None) -> bytes:
    """Return the safetensors header of a file of `offsets`, then `values`."""
    split, end = offsets.nbytes, offsets.nbytes + values.nbytes
    header = {
        "__metadata__": {"format": _FILE_FORMAT, "feature_names": json.dumps(names)},
        "offsets": {"dtype": "I64", "shape": [len(offsets)], "data_offsets": [0, split]},
        "values": {"dtype": "F32", "shape": list(values.shape), "data_offsets": [split, end]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # keeps both tensors aligned
    return len(text).to_bytes(8, "little") + text


def read_file_header(path: Path) -> tuple[list[str] | None, int, tuple[int, int], int]:
    """Return the feature names, N, the shape of values, and where in the file the offsets start."""
    if path.is_dir():
        raise FormatError(f"{path} is a folder, not a file that Sequences.save wrote.")
    if not path.exists():
        raise DataFileNotFoundError(f"there is no file {path}.")
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(length) if length <= size else b""
    try:
        header = json.loads(text)
        if header["__metadata__"]["format"] != _FILE_FORMAT:
            raise ValueError
        names = _names_in(json.loads(header["__metadata__"]["feature_names"]))
        n_bounds, rows, features = map(_size_in, (*header["offsets"]["shape"], *header["values"]["shape"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError(f"{path} is not a file that Sequences.save wrote.") from error
    expected = 8 + length + 8 * n_bounds + 4 * rows * features
    if size != expected:
        raise FormatError(f"{path} is damaged: it has {size} bytes, and its header promises {expected}.")
    return names, n_bounds - 1, (rows, features), 8 + length


def _names_in(entry: Any) -> list[str] | None:
    if entry is not None and not (isinstance(entry, list) and all(isinstance(name, str) for name in entry)):
        raise TypeError
    return entry


def _size_in(entry: Any) -> int:
    if type(entry) is not int or entry < 0:
        raise TypeError
    return entry
