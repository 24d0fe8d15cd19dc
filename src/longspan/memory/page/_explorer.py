"""What the page needs to walk through a few sequences: inputs, answers, gates, and for small networks the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from longspan.estimators.inspection import sequence_network
from longspan.memory.page._arrays import pack, pack_small
from longspan.memory.page._traces import Cells, ask, trace_cells
from longspan.memory.page._weights import LARGEST, count_weights, describe_network, describe_reading
from longspan.memory.report import Example, MemoryReport
from longspan.tasks import Classification, SequenceNetwork

MOST_EXAMPLES = 6
_COLUMNS = 1_000
"""Steps of a sequence that are drawn; of a longer one, evenly spaced ones."""

_UNITS = 128
"""Units of a layer and direction whose gates are drawn; of more, evenly spaced ones in order of their memory."""

_RECORDED = 1_000_000
"""Values of gates and states that the page carries, of all examples together."""

_NUMBERS = 40_000
"""Numbers of one sequence that the page carries."""

_MULTIPLICATIONS = 60_000_000
"""Multiplications after which the page would no longer answer at once."""


@dataclass(frozen=True)
class Reader:
    """How the network of an estimator is asked, and what its answers are called."""

    network: SequenceNetwork
    reading: dict[str, Any]
    read: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    answers: list[str]
    classes: bool


def explore(report: MemoryReport) -> dict[str, Any] | str:
    """Return what the page walks through, or a sentence that says why there is nothing to walk through."""
    if not report.examples:
        return "No sequences were kept with this report, so there is none to walk through."
    reader = _reader(report.estimator)
    if reader is None:
        return (
            f"Walking through a sequence step by step is there for networks that read one sequence and answer; "
            f"{type(report.estimator).__name__} works in another way, so this part is left out."
        )
    network = reader.network.eval()
    examples = report.examples[:MOST_EXAMPLES]
    not_live = why_not_live(network, examples)
    drawn = Drawn.of(network, examples) if not_live else Drawn(_COLUMNS, _UNITS)
    shown = _units_to_show(report, network, drawn.units)
    return {
        "channels": _channels(report, network),
        "answers": reader.answers,
        "classes": reader.classes,
        "perStep": network.pooling is None,
        "stride": math.prod(network.config.stem_strides),
        "cell": network.config.cell,
        "units": shown,
        "tau": None if report.curves.time_constants is None else pack(report.curves.time_constants.tau),
        "network": describe_network(network, reader.reading) if not_live is None else None,
        "notLive": not_live,
        "means": pack(network.views.mean.detach().cpu().numpy()),
        "deviations": pack(network.views.scale.detach().cpu().numpy()),
        "examples": [_example(example, reader, shown, drawn, live=not_live is None) for example in examples],
    }


@dataclass(frozen=True)
class Drawn:
    """How much is drawn of the gates of a sequence: so many columns, and so many units of each layer and direction."""

    columns: int
    units: int
    bits: int = 16

    @classmethod
    def of(cls, network: SequenceNetwork, examples: tuple[Example, ...]) -> Drawn:
        """Return what the page can carry if it has to carry the gates themselves."""
        config = network.config
        parts = config.num_layers * (2 if config.bidirectional else 1)
        longest = max(len(example.values) for example in examples)
        columns = min(_COLUMNS, -(-longest // math.prod(config.stem_strides)))
        units = min(_UNITS, config.hidden_size)
        pictures = len(examples) * parts * {"lstm": 6, "gru": 4, "rnn": 1}.get(config.cell, 1)
        share = min(1.0, (_RECORDED / (pictures * columns * units)) ** 0.5)
        bits = 16 if 2 * pictures * columns * units <= _RECORDED else 8
        return cls(max(1, int(columns * share)), max(1, int(units * share)), bits)


def why_not_live(network: SequenceNetwork, examples: tuple[Example, ...]) -> str | None:
    """Return why the page does not compute this network itself, or None if it does."""
    weights = count_weights(network)
    if weights > LARGEST:
        return (
            f"What-if is for smaller networks: this one has {weights:,} weights, and a page carries up to {LARGEST:,}."
        )
    longest = max(len(example.values) for example in examples)
    if longest > _COLUMNS or max(example.values.size for example in examples) > _NUMBERS:
        return f"What-if is for shorter sequences: the longest one here has {longest:,} steps."
    if weights * longest > _MULTIPLICATIONS:
        return (
            f"What-if is for networks and sequences that a page can compute at once: {weights:,} weights over "
            f"{longest:,} steps would take it too long."
        )
    return None


def network_of(model: Any) -> SequenceNetwork | None:
    """Return the network that reads the sequences, if the model has one of that kind."""
    if isinstance(model, SequenceNetwork):
        return model
    return sequence_network(model)


def _reader(model: Any) -> Reader | None:
    network = network_of(model)
    if network is None:
        return None
    size: int = network.config.output_size
    answers = bool(getattr(model, "network_", None) is network)
    if not answers:
        # A variational encoder gives out means and variances; the means are what stands for a sequence.
        shown = size if network is model else model._n_features_out
        names = _numbered("output" if network is model else "latent", shown)
        reading = {"kind": "numbers", "mean": [0.0] * size, "scale": [1.0] * size}
        return Reader(network, reading, lambda outputs: outputs[:, :shown], names, classes=False)
    task = model._make_task()
    classes = isinstance(task, Classification)
    names = [class_name(label) for label in model.classes_] if classes else _numbered("output", size)

    def read(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(task.read(torch.as_tensor(outputs)).numpy())

    return Reader(network, describe_reading(task, size), read, names, classes)


def class_name(label: Any) -> str:
    """Return a label as a name that can stand alone.

    Examples
    --------
    >>> class_name("up"), class_name(3), class_name("7")
    ('up', 'class 3', 'class 7')
    """
    text = str(label)
    return f"class {text}" if text.lstrip("-").replace(".", "", 1).isdigit() else text


def _numbered(word: str, count: int) -> list[str]:
    return [word] if count == 1 else [f"{word} {number}" for number in range(1, count + 1)]


def _channels(report: MemoryReport, network: SequenceNetwork) -> list[str]:
    """Return a name for each channel of the input that is a measured value."""
    count = network.config.input_size // (3 if network.config.gaps else 1)
    names = report.facts.get("feature_names") or []
    return [str(name) for name in names] if len(names) == count else _numbered("channel", count)


def _units_to_show(report: MemoryReport, network: SequenceNetwork, most: int) -> list[list[int]]:
    """Return, for each layer and direction, the units in order of their time constants, the longest first."""
    config = network.config
    if config.cell == "feedforward":
        return []
    parts = config.num_layers * (2 if config.bidirectional else 1)
    constants = report.curves.time_constants
    if constants is None:
        order = np.tile(np.arange(config.hidden_size), (parts, 1))
    else:
        order = np.argsort(-constants.tau.reshape(parts, config.hidden_size), axis=1, kind="stable")
    picked = np.linspace(0, config.hidden_size - 1, min(config.hidden_size, most)).round().astype(int)
    shown: list[list[int]] = order[:, picked].tolist()
    return shown


def _example(example: Example, reader: Reader, units: list[list[int]], drawn: Drawn, *, live: bool) -> dict[str, Any]:
    network, values = reader.network, example.values
    said = ask(network, values, classes=reader.classes)
    predictions = reader.read(said.outputs)
    steps = _evenly(len(values), _COLUMNS)
    channels = network.config.input_size if live else min(network.config.input_size, max(1, _NUMBERS // len(steps)))
    return {
        "number": example.number,
        "length": len(values),
        "target": _target(example, reader),
        "predicted": _predicted(predictions[-1], reader),
        "steps": steps.tolist(),
        "inputs": pack(values[steps][:, :channels]),
        "truth": _truth(example, reader, steps),
        "asked": said.steps.tolist(),
        "predictions": pack(predictions),
        "influence": pack_small(_brightest(said.influence, steps)),
        "cells": None if live else _cells(trace_cells(network, values), units, drawn),
    }


def _evenly(length: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(np.int64))


def _brightest(influence: NDArray[np.float64], steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each row over its largest value, and of steps that are drawn as one, the largest."""
    joined = np.maximum.reduceat(influence, steps, axis=1)
    highest = joined.max(axis=1, keepdims=True)
    brightness: NDArray[np.float64] = joined / np.where(highest > 0, highest, 1)
    return brightness


def _cells(cells: list[Cells], units: list[list[int]], drawn: Drawn) -> list[dict[str, Any]]:
    return [
        {
            "layer": part.layer,
            "backward": part.backward,
            "columns": (columns := _evenly(len(part.fields["h"]), drawn.columns)).tolist(),
            "fields": {name: pack_small(field[columns][:, shown], drawn.bits) for name, field in part.fields.items()},
        }
        for part, shown in zip(cells, units, strict=True)
    ]


def _target(example: Example, reader: Reader) -> str | None:
    """Return the target of a sequence in words; targets of steps are drawn instead."""
    if example.target is None or reader.network.pooling is None:
        return None
    if reader.classes:
        return class_name(example.target)
    return ", ".join(f"{float(number):.4g}" for number in np.ravel(example.target)[:4])


def _predicted(prediction: NDArray[np.float64], reader: Reader) -> str:
    if reader.classes:
        return reader.answers[int(prediction.argmax())]
    return ", ".join(f"{number:.4g}" for number in prediction[:4])


def _truth(example: Example, reader: Reader, steps: NDArray[np.int64]) -> list[Any] | None:
    """Return what is right for the whole sequence, or at each step that is drawn, as the page compares it."""
    if example.target is None:
        return None
    target = np.asarray(example.target)
    if reader.network.pooling is None:
        target = target[steps]
    if not reader.classes:
        rows: list[Any] = target.astype(np.float64).reshape(len(target) if target.ndim else 1, -1).tolist()
        return rows if reader.network.pooling is None else [np.ravel(target).astype(np.float64).tolist()]
    places = {name: place for place, name in enumerate(reader.answers)}
    return [places.get(class_name(label), -1) for label in np.ravel(target)]
