"""Reading and writing: tables through DuckDB, `.ts` files, and model files.

The names load when they are first used, so that ``import longspan.io`` loads neither DuckDB nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longspan.io.model_files import read_model, write_model
    from longspan.io.tables import Table, read_table, write_table
    from longspan.io.ts_files import TsData, read_ts, write_ts

__all__ = [
    "Table",
    "TsData",
    "read_model",
    "read_table",
    "read_ts",
    "write_model",
    "write_table",
    "write_ts",
]

_HOMES = {
    "Table": "tables",
    "TsData": "ts_files",
    "read_model": "model_files",
    "read_table": "tables",
    "read_ts": "ts_files",
    "write_model": "model_files",
    "write_table": "tables",
    "write_ts": "ts_files",
}


def __getattr__(name: str) -> object:
    """Import a name from its file, once."""
    if name not in _HOMES:
        raise AttributeError(f"module 'longspan.io' has no attribute {name!r}")
    value: object = getattr(import_module(f"longspan.io.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported already or not."""
    return __all__
