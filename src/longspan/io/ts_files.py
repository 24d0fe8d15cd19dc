"""The `.ts` format of the UCR and UEA time-series archives.

A header of ``@name value`` lines, then ``@data``, then one sequence per line: its features separated
by colons, the steps of a feature by commas, and at the end, after one more colon, a label or a number.

Source: https://www.timeseriesclassification.com (the format of the archives, as aeon and sktime read it).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longspan.errors import FormatError, TargetError
from longspan.io._paths import existing_file
from longspan.sequences import Sequences, replacing

__all__ = ["TsData", "read_ts", "write_ts"]

_STAMPED = re.compile(r"\(([^()]*),([^(),]*)\)")


@dataclass(frozen=True)
class TsData:
    """What a `.ts` file holds.

    Parameters
    ----------
    sequences : Sequences
    targets : array of shape (N,), or None
        Text for ``@classLabel true``, float64 for ``@targetLabel true``.
    name : str
        The ``@problemName``, or the file's name without one.
    metadata : dict of str to str
        Every header line, by its lower-case name.
    """

    sequences: Sequences
    targets: NDArray[Any] | None
    name: str
    metadata: dict[str, str]


def read_ts(path: str | PathLike[str]) -> TsData:
    r"""Read a `.ts` file of equal or unequal lengths, one or many features.

    ``?`` and ``NaN`` are missing values and become NaN. Timestamps are read over: the steps keep
    their order in the file. What the header says of dimensions, lengths and labels is checked.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    DataFileNotFoundError
        There is no such file.
    FormatError
        The file breaks the format; the message names the line.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "tiny.ts"
    >>> _ = path.write_text("@classLabel true up down\n@data\n1,2,3:up\n3,?:down\n")
    >>> data = read_ts(path)
    >>> data.sequences, data.targets.tolist()
    (Sequences(2 sequences, 2 to 3 steps, 1 feature, 0.0 MB), ['up', 'down'])
    """
    path = existing_file(path)
    # A stray byte in a comment must not stop the reading; one in a number is found as not a number.
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = ((number, line.strip()) for number, line in enumerate(file, 1))
        lines = (entry for entry in lines if entry[1] and entry[1][0] not in "#%")
        try:
            metadata = _read_header(lines)
            sequences, targets = _Body(metadata).read(lines)
        except FormatError as error:
            raise FormatError(f"{path}: {error}") from error
    return TsData(sequences, targets, metadata.get("problemname", path.stem), metadata)


def _read_header(lines: Iterator[tuple[int, str]]) -> dict[str, str]:
    metadata: dict[str, str] = {}
    for number, line in lines:
        name, value = [*line.split(maxsplit=1), ""][:2]
        if not name.startswith("@"):
            raise FormatError(f"line {number} stands before @data, but is no header line: {line[:40]!r}")
        if name.lower() == "@data":
            return metadata
        metadata[name[1:].lower()] = value.strip()
    raise FormatError("there is no @data line, so it is not a .ts file, or only the start of one.")


class _Body:
    """Reads the lines after ``@data`` as the header says."""

    def __init__(self, metadata: dict[str, str]) -> None:
        self.stamped = _flag(metadata, "timestamps")
        self.labelled = _flag(metadata, "classlabel")
        self.targeted = _flag(metadata, "targetlabel")
        self.labels = set(metadata.get("classlabel", "").split()[1:])
        self.equal_length = _flag(metadata, "equallength")
        self.features = 1 if _flag(metadata, "univariate") else _whole(metadata, "dimensions")

    def read(self, lines: Iterator[tuple[int, str]]) -> tuple[Sequences, NDArray[Any] | None]:
        arrays: list[NDArray[np.float64]] = []
        targets: list[str | float] = []
        for number, line in lines:
            try:
                arrays.append(self.read_line(line, targets))
                self.check_shape(arrays)
            except ValueError as error:
                raise FormatError(f"line {number}: {error}") from error
        if not arrays:
            raise FormatError("there are no sequences after the @data line.")
        return Sequences.from_list(arrays), np.array(targets) if targets else None

    def read_line(self, line: str, targets: list[str | float]) -> NDArray[np.float64]:
        """Return one sequence, shape (T, I), and append its target."""
        if self.labelled or self.targeted:
            line, colon, target = line.rpartition(":")
            if not colon:
                raise ValueError("the label after the last colon is not there.")
            targets.append(self.read_target(target.strip()))
        columns = [_numbers(text) for text in (_unstamped(line) if self.stamped else line.split(":"))]
        for j, column in enumerate(columns):
            if len(column) != len(columns[0]):
                raise ValueError(f"dimension {j} has {len(column)} values, but dimension 0 has {len(columns[0])}.")
        return np.array(columns).T

    def read_target(self, target: str) -> str | float:
        if self.targeted:
            return float(target)
        if self.labels and target not in self.labels:
            raise ValueError(f"the label {target!r} is not among those of @classLabel: {sorted(self.labels)}.")
        return target

    def check_shape(self, arrays: list[NDArray[np.float64]]) -> None:
        (steps, features), (first_steps, first_features) = arrays[-1].shape, arrays[0].shape
        expected = self.features or first_features
        if features != expected:
            raise ValueError(f"there are {features} dimensions, but {expected} were expected.")
        if self.equal_length and steps != first_steps:
            raise ValueError(f"there are {steps} steps, but @equalLength is true and others have {first_steps}.")


def _flag(metadata: dict[str, str], name: str) -> bool:
    return metadata.get(name, "").lower().split()[:1] == ["true"]


def _whole(metadata: dict[str, str], name: str) -> int | None:
    text = metadata.get(name)
    if text is None:
        return None
    if not text.isdecimal() or not int(text):
        raise FormatError(f"@{name} must be a whole number, but is {text!r}.")
    return int(text)


def _numbers(text: str) -> list[float]:
    if "?" in text:
        text = text.replace("?", "nan")
    return [float(number) for number in text.split(",")]


def _unstamped(line: str) -> list[str]:
    """Return the values, without their times, of each dimension of ``(t,v),(t,v):(t,v),(t,v)``."""
    dimensions = []
    for text in re.split(r"\)\s*:", line):
        text = text.strip() if text.endswith(")") else f"{text.strip()})"
        pairs = _STAMPED.findall(text)
        if not pairs or _STAMPED.sub("", text).strip(", "):
            raise ValueError(f"expected (time,value) pairs, as @timeStamps is true, but found {text[:40]!r}.")
        dimensions.append(",".join(value for _, value in pairs))
    return dimensions


def write_ts(
    path: str | PathLike[str],
    sequences: Sequences,
    targets: ArrayLike | None = None,
    *,
    name: str = "unnamed",
) -> None:
    """Write a `.ts` file, whole or not at all.

    Parameters
    ----------
    path : str or path
    sequences : Sequences
        NaN is written as ``?``.
    targets : array of shape (N,), optional
        Floats are written as ``@targetLabel``, all else as ``@classLabel``.
    name : str
        The ``@problemName``, without spaces.

    Raises
    ------
    TargetError
        There is not one target per sequence, or a label has a space or a colon in it.
    """
    labels = None if targets is None else np.asarray(targets)
    if labels is not None and labels.shape != (len(sequences),):
        raise TargetError(f"there are {len(sequences)} sequences, but the targets have shape {labels.shape}.")
    endings = [""] * len(sequences) if labels is None else [f":{label}" for label in labels.tolist()]
    header = [
        f"@problemName {name}",
        "@timeStamps false",
        f"@missing {_word(sequences.missing.any())}",
        f"@univariate {_word(sequences.n_features == 1)}",
        f"@dimensions {sequences.n_features}",
        f"@equalLength {_word(sequences.is_dense)}",
        *_target_header(labels),
        "@data",
    ]
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\n".join(header) + "\n")
        for array, ending in zip(sequences, endings, strict=True):
            columns = (",".join(column.astype(str)).replace("nan", "?") for column in array.T)
            file.write(":".join(columns) + ending + "\n")


def _target_header(labels: NDArray[Any] | None) -> list[str]:
    if labels is None:
        return ["@classLabel false"]
    if labels.dtype.kind == "f":
        return ["@targetLabel true"]
    names = sorted({str(label) for label in labels.tolist()})
    for label in names:
        if not label or re.search(r"[\s:]", label):
            raise TargetError(f"the label {label!r} has a space or a colon in it, or is empty.")
    return [f"@classLabel true {' '.join(names)}"]


def _word(flag: bool | np.bool_) -> str:
    return "true" if flag else "false"
