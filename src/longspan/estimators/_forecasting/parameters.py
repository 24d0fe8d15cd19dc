"""The parameters of a forecaster alone: their checks, and what each ``"auto"`` becomes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from longspan.data.windows import SeriesBlock
from longspan.errors import DataError, ParameterError
from longspan.estimators._parameters import check_parameters
from longspan.estimators._recipe import Recipe, matched, training_settings
from longspan.tasks.forecast import OUTPUTS, ForecasterConfig, count_forecaster_parameters

_CHOICES = {"output": OUTPUTS, "strategy": ("direct", "recursive")}

_MOST_CONTEXT = 512
"""Steps of context, at most, that are chosen unasked."""

_MANY = 4000
"""Steps of all series together, or windows, that are worth a longer look back, faster learning and more of it."""

_LONG = 128
"""Steps of context from which that is left be: each training step takes its time as it is."""

_STEPS = 300
"""Training steps that small data are worth; many windows are worth twice as many."""

_PER_EPOCH = 1024
"""Windows drawn for an epoch, at most: neighbours have nearly everything in common."""


def check_forecaster(parameters: dict[str, Any]) -> None:
    """Raise `ParameterError`, naming the parameter, for a value that a forecaster cannot work with."""
    check_parameters(parameters)
    for name, allowed in _CHOICES.items():
        if not isinstance(parameters[name], str) or parameters[name] not in allowed:
            raise ParameterError(f"{name} is one of {', '.join(map(repr, allowed))}, but it was {parameters[name]!r}.")
    log = parameters["log"]
    if not isinstance(log, bool | np.bool_) and not (isinstance(log, str) and log == "auto"):
        raise ParameterError(f"log is True, False or 'auto', but it was {log!r}.")
    if not isinstance(parameters["conformal"], bool | np.bool_):
        raise ParameterError(f"conformal is True or False, but it was {parameters['conformal']!r}.")
    check_levels(parameters["quantiles"])


def check_levels(levels: Any) -> tuple[float, ...]:
    """Return levels of quantiles as a tuple, or raise `ParameterError` unless they rise from above 0 to below 1."""
    usable = isinstance(levels, tuple | list | np.ndarray) and len(levels) > 0
    if not usable or not all(_is_share(level) for level in levels):
        raise ParameterError(
            f"quantiles are levels between 0 and 1, such as (0.1, 0.5, 0.9), but they were {levels!r:.200}."
        )
    found = tuple(float(level) for level in levels)
    if list(found) != sorted(set(found)):
        raise ParameterError(f"quantiles must rise, each level once, but they were {levels!r:.200}.")
    return found


def _is_share(level: Any) -> bool:
    return isinstance(level, float | np.floating) and bool(0 < level < 1)


def check_count(name: str, value: Any) -> int:
    """Return a whole number from 1 on, or raise `ParameterError`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ParameterError(f"{name} is a whole number from 1 on, but it was {value!r}.")
    return int(value)


def all_levels(levels: tuple[float, ...]) -> tuple[float, ...]:
    """Return the levels with the median among them."""
    return tuple(sorted({*levels, 0.5}))


@dataclass(frozen=True)
class Lengths:
    """How far back is looked, how far ahead, and the steps of a season."""

    context: int
    horizon: int
    season: int


def choose_lengths(parameters: dict[str, Any], block: SeriesBlock, season: int) -> Lengths:
    """Put numbers where `context_length` and `horizon` are ``"auto"``, and check that the series are long enough.

    The horizon is a season that fits five times into the shortest series, or a tenth of it, 12 steps at most. The
    context is two seasons, or two horizons where there is no season, and 16 steps at least (32 where there are 4,000 in
    all); or a third of what the shortest series has, if that is less.
    """
    shortest = int(block.lengths.min())
    if shortest < 2:
        number = int(block.lengths.argmin())
        raise DataError(
            f"series {number} has 1 step (n_features=1 for a table): nothing can be learned from it.\n"
            f"  Two steps are the least; many more are of use."
        )
    horizon, context = parameters["horizon"], parameters["context_length"]
    if isinstance(horizon, str):
        horizon = season if 1 < season <= shortest // 5 else max(1, min(12, shortest // 10))
    trained = 1 if parameters["strategy"] == "recursive" else horizon
    if isinstance(context, str):
        least = 32 if block.lengths.sum() >= _MANY else 16
        context = _choose_context(shortest, trained, season, least)
    if shortest < context + trained:
        number = int(block.lengths.argmin())
        raise DataError(
            f"series {number} has {shortest} steps, but a window takes {context + trained}: {context} of context and "
            f"{trained} of horizon.\n  Use a shorter context_length or horizon, or leave such series out."
        )
    return Lengths(int(context), int(horizon), season if season <= context else 1)


def _choose_context(shortest: int, horizon: int, season: int, wanted: int) -> int:
    room = max(1, shortest - horizon - 1)
    wanted = max(wanted, 2 * season if season > 1 else 2 * horizon)
    third = (shortest - horizon) // 3
    least = 2 * season if season > 1 and 2 * season <= (shortest - horizon) // 2 else 1
    return max(1, min(room, _MOST_CONTEXT, max(least, min(wanted, third))))


def choose_forecaster_recipe(parameters: dict[str, Any], config: ForecasterConfig, windows: int) -> Recipe:
    """Return network and training for so many windows."""
    usual = _choices(windows, config.context_length)
    chosen = {name: _auto(value, usual.get(name)) for name, value in parameters.items()}
    if chosen["match_parameters"]:
        config = matched(config, count_forecaster_parameters)
    return Recipe(
        network=config,
        training=training_settings(chosen),
        batch_size=chosen["batch_size"],
        validation_fraction=chosen["validation_fraction"],
    )


def windows_per_epoch(windows: int) -> int:
    """Return how many windows are drawn for an epoch."""
    return min(windows, max(_PER_EPOCH, windows // 8))


def dropout_of(parameters: dict[str, Any]) -> float:
    """Return the dropout of the network."""
    return float(_auto(parameters["dropout"], 0.2))


def _choices(windows: int, context: int) -> dict[str, Any]:
    batch_size = 32 if windows <= 2000 else 64
    steps_an_epoch = -(-windows_per_epoch(windows) // batch_size)
    many = windows >= _MANY and context < _LONG
    return {
        "batch_size": batch_size,
        "max_epochs": max(10, min(60, -(-(2 * _STEPS if many else _STEPS) // steps_an_epoch))),
        "lr": 1e-2 if many else 3e-3,
        "n_iter_no_change": None,
        "validation_fraction": 0.25,
    }


def _auto(value: Any, chosen: Any) -> Any:
    return chosen if isinstance(value, str) and value == "auto" else value
