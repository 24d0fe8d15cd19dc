"""Finding the file that was meant."""

from difflib import get_close_matches
from os import PathLike
from pathlib import Path

from longspan.errors import DataFileNotFoundError, FormatError

__all__ = ["existing_file"]


def existing_file(path: str | PathLike[str]) -> Path:
    """Return `path` if a file is there, else raise an error that lists similar names in its folder."""
    path = Path(path)
    if path.is_file():
        return path
    if path.exists():
        raise FormatError(f"{path} is {'a folder' if path.is_dir() else 'not a regular file'}.")
    folder = path.parent
    if not folder.is_dir():
        raise DataFileNotFoundError(f"there is no file {path}: there is no folder {folder}.")
    names = [entry.name for entry in folder.iterdir()]
    similar = get_close_matches(path.name, names, n=3)
    hint = f"\n  Similar names in {folder}: {', '.join(similar)}" if similar else ""
    raise DataFileNotFoundError(f"there is no file {path}.{hint}")
