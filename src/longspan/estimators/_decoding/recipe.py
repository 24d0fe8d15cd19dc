"""What every ``"auto"`` of a decoder becomes, chosen from the shape of the training data."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from longspan.estimators._decoding.pairs import PairSet
from longspan.estimators._recipe import Recipe, matched, training_settings
from longspan.sequences import Sequences
from longspan.tasks import DecoderConfig, count_decoder_parameters

_FEW, _SOME, _MANY = 50, 500, 2000
"""Numbers of pairs from which some are held out, and from which batches are larger."""

_LARGEST_HOLD_OUT = 1000
"""Pairs that are enough to tell one epoch from another."""

_BPTT_STEPS, _BPTT_STEPS_OF_ANSWERS = 128, 1024
"""Steps that gradients go back without a source, and with one, where the answer may lie far back."""

_TRAINING_STEPS, _FEWEST_EPOCHS = 1500, 15

_LONG_TEXT = 100_000
"""Steps of targets without sources from which a larger network pays."""

_STEPS_TO_LEARN_FROM = 200
"""Targets of fewer steps in all are not worth a part held out."""


@dataclass(frozen=True)
class PairShape:
    """What the choices depend on.

    Attributes
    ----------
    n_pairs : int
        Different pairs to learn from (or to hold out).
    n_units : int
        How many parts they can be dealt into: pairs of one source, or of one group, stay together.
    n_steps : int
        Steps of all targets, stops among them.
    longest_source, longest_target : int
        Steps of the longest ones; of a source without steps 1.
    """

    n_pairs: int
    n_units: int
    n_steps: int
    longest_source: int
    longest_target: int

    @classmethod
    def of(cls, pairs: PairSet) -> "PairShape":
        """Measure a training set."""
        lengths = pairs.targets.lengths[pairs.kept]
        sources = pairs.sources
        longest = int(sources.lengths[pairs.kept].max()) if isinstance(sources, Sequences) else 1
        units = len(np.unique(pairs.units[pairs.kept]))
        return cls(len(lengths), units, int(lengths.sum()), longest, int(lengths.max()))


def decoder_choices(shape: PairShape, source: str, target: str) -> dict[str, Any]:
    """Return what each ``"auto"`` of a decoder stands for, by the name of the parameter."""
    answers = source != "nothing"
    bptt_steps = _BPTT_STEPS_OF_ANSWERS if answers else _BPTT_STEPS
    in_pieces = shape.longest_target > bptt_steps
    batch_size = _lanes(shape) if in_pieces else _batch_size(shape.n_pairs)
    steps_an_epoch = shape.n_steps // (batch_size * bptt_steps) if in_pieces else shape.n_pairs // batch_size
    one_text = shape.n_pairs == 1 and not answers and shape.n_steps >= _STEPS_TO_LEARN_FROM
    hold_out = one_text or (shape.n_pairs >= _FEW and shape.n_units > 1)
    return {
        "hidden_size": 256 if shape.n_steps >= _LONG_TEXT and not answers else 128,
        "dropout": 0.3 if target == "symbols" else 0.1,
        "init": "forget_bias",
        "max_epochs": max(_FEWEST_EPOCHS, -(-_TRAINING_STEPS // max(1, steps_an_epoch))),
        "batch_size": batch_size,
        "bptt_steps": bptt_steps,
        "lr": 3e-3,
        "label_smoothing": 0.1 if answers and target == "symbols" else 0.0,
        "n_iter_no_change": None,
        "validation_fraction": min(0.1, _LARGEST_HOLD_OUT / shape.n_pairs) if hold_out else 0.0,
    }


def _batch_size(n_pairs: int) -> int:
    return 16 if n_pairs <= _SOME else 32 if n_pairs <= _MANY else 64


def _lanes(shape: PairShape) -> int:
    """Return as many lanes, 32 at most, as leave each a few pieces to walk along."""
    return min(32, max(1, shape.n_steps // (4 * _BPTT_STEPS)))


def choose_decoder_recipe(
    parameters: dict[str, Any], shape: PairShape, *, source: str, target: str, source_size: int, target_size: int
) -> Recipe:
    """Put the choices where the parameters of a decoder say ``"auto"``; keep the rest."""
    choices = decoder_choices(shape, source, target)
    given = {name: value for name, value in parameters.items() if not (isinstance(value, str) and value == "auto")}
    chosen = parameters | choices | given
    asked_to_hold_out = parameters["validation_split"] != "random" or given.get("n_iter_no_change") is not None
    if asked_to_hold_out and "validation_fraction" not in given:
        chosen["validation_fraction"] = chosen["validation_fraction"] or 0.1
    lag = max(2, chosen["max_lag"] or max(shape.longest_source, shape.longest_target))
    config = DecoderConfig(
        source=source,
        target=target,
        source_size=source_size,
        target_size=target_size,
        cell=chosen["cell"],
        hidden_size=chosen["hidden_size"],
        num_layers=chosen["num_layers"],
        dropout=chosen["dropout"],
        window=chosen["window"],
        init=chosen["init"],
        max_lag=lag if chosen["init"] == "chrono" else None,
        cell_options=chosen["cell_options"] or {},
        attention=chosen["attention"] if source in ("numbers", "symbols") else None,
    )
    return Recipe(
        network=matched(config, count_decoder_parameters) if chosen["match_parameters"] else config,
        training=training_settings(chosen),
        batch_size=chosen["batch_size"],
        validation_fraction=chosen["validation_fraction"],
        label_smoothing=chosen["label_smoothing"],
        bptt_steps=chosen["bptt_steps"],
    )
