"""LSTMs for long sequences: classify, regress, and measure how far back the network remembers.

The public names are here and are imported when they are first used, so that ``import longspan``
costs next to nothing and loads no torch.

Examples
--------
>>> import longspan
>>> longspan.__all__[0]
'LSTMClassifier'
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longspan import data, errors, io, memory, nn, ops, problems, trials
    from longspan.data import load_airline_passengers, load_japanese_vowels
    from longspan.estimators import LSTMClassifier, LSTMDecoder, LSTMEncoder, LSTMForecaster, LSTMRegressor, load
    from longspan.io import read_table, read_ts
    from longspan.memory import MemoryReport, memory_report
    from longspan.sequences import Sequences

    __version__: str

__all__ = [
    "LSTMClassifier",
    "LSTMDecoder",
    "LSTMEncoder",
    "LSTMForecaster",
    "LSTMRegressor",
    "MemoryReport",
    "Sequences",
    "__version__",
    "data",
    "errors",
    "io",
    "load",
    "load_airline_passengers",
    "load_japanese_vowels",
    "memory",
    "memory_report",
    "nn",
    "ops",
    "problems",
    "read_table",
    "read_ts",
    "trials",
]

# Where each public name lives. A name that is its own home is a module.
_HOMES = {
    "LSTMClassifier": "longspan.estimators",
    "LSTMDecoder": "longspan.estimators",
    "LSTMEncoder": "longspan.estimators",
    "LSTMForecaster": "longspan.estimators",
    "LSTMRegressor": "longspan.estimators",
    "MemoryReport": "longspan.memory",
    "Sequences": "longspan.sequences",
    "data": "longspan.data",
    "errors": "longspan.errors",
    "io": "longspan.io",
    "load": "longspan.estimators",
    "load_airline_passengers": "longspan.data",
    "load_japanese_vowels": "longspan.data",
    "memory": "longspan.memory",
    "memory_report": "longspan.memory",
    "nn": "longspan.nn",
    "ops": "longspan.ops",
    "problems": "longspan.problems",
    "read_table": "longspan.io",
    "read_ts": "longspan.io",
    "trials": "longspan.trials",
}


def __getattr__(name: str) -> object:
    """Import a public name from its home, once."""
    if name == "__version__":
        from importlib.metadata import version

        value: object = version("longspan")
    elif name in _HOMES:
        home = import_module(_HOMES[name])
        value = home if home.__name__ == f"longspan.{name}" else getattr(home, name)
    else:
        raise AttributeError(f"module 'longspan' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported already or not."""
    return sorted(__all__)
