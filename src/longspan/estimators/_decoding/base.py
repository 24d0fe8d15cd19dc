"""What lies below `LSTMDecoder`: reading, fitting, and running the network over batches of sources."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from longspan.data import BatchSource, ChannelScaler, PairBatches, Sources, StreamBatches, number_groups, take_sources
from longspan.errors import ModelFileError, ParameterError, TargetError
from longspan.estimators._base import NetworkEstimator
from longspan.estimators._decoding import inputs as given
from longspan.estimators._decoding.pairs import PairSet, with_stops
from longspan.estimators._decoding.recipe import PairShape, choose_decoder_recipe
from longspan.estimators._decoding.symbols import Vocabulary
from longspan.estimators._inputs import read_weights
from longspan.nn import ATTENTIONS
from longspan.sequences import Sequences
from longspan.tasks import SOURCES, TARGETS, DecoderConfig, Decoding, SequenceDecoder

_AT_ONCE = 256
"""Sequences that go through the network together where nothing is learned, in multiples of `_TILE`."""

_TILE = 8

_ROWS_AT_ONCE = 1 << 14

_STEPS_AT_ONCE = 1024
"""Steps of a long target that go through the network together where nothing is learned."""

_PIECES_OF_A_LANE = 8
"""Pieces that a lane walks along, at least, where a text is validated on."""

_LONGEST_TARGET = 1 << 40
"""Steps; more were never in any memory."""


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceDecoding(NetworkEstimator):
    """Base of `LSTMDecoder`: sources and targets on their way into the network."""

    source: str = "auto"
    target: str = "auto"
    attention: str | None = "dot"
    label_smoothing: float | str = "auto"
    scheduled_sampling: float = 0.0
    bptt_steps: int | str | None = "auto"

    network_: SequenceDecoder = field(init=False)
    source_: str = field(init=False)
    target_: str = field(init=False)
    symbols_: list[Any] = field(init=False)
    source_symbols_: list[Any] = field(init=False)
    longest_target_: int = field(init=False)
    _same_length: bool = field(init=False)
    _form: str = field(init=False)

    _network_type: ClassVar[Any] = SequenceDecoder

    _state: ClassVar[dict[str, type]] = NetworkEstimator._state | {
        "source_": str,
        "target_": str,
        "symbols_": list,
        "source_symbols_": list,
        "longest_target_": int,
        "_joined": bool,
        "_source_joined": bool,
        "_form": str,
        "_same_length": bool,
    }
    _optional_state: ClassVar[frozenset[str]] = NetworkEstimator._optional_state | {
        "n_features_in_",
        "n_sequence_features_",
        "_columns_are_steps",
    }

    # Reading ---------------------------------------------------------------------------------------------------------

    def _read_pairs(self, X: Any, y: Any, sample_weight: ArrayLike | None) -> tuple[Any, Any, NDArray[np.float64]]:
        """Read sources and targets as they are for fitting, without those of weight 0."""
        self.source_ = given.kind_of_source(X, self.source)
        self.target_ = given.kind_of_target(y, self.target)
        for name in ("n_features_in_", "n_sequence_features_", "_columns_are_steps", "feature_names_in_"):
            self.__dict__.pop(name, None)  # of sources of another kind
        sources = given.read_source(self, X, self.source_, reset=True)
        targets, self._form = given.read_target(y, self.target_)
        given.check_same_number(sources, targets)
        weights = read_weights(sample_weight, len(targets))
        index = np.flatnonzero(weights > 0)
        if len(index) == len(weights):
            return sources, targets, weights
        return given.take(sources, index), given.take(targets, index), weights

    def _set_symbols(self, sources: Any, targets: Any) -> None:
        """Number the symbols of a first fit."""
        self.source_symbols_, self._source_joined = _symbols_of(sources, self.source_)
        self.symbols_, self._joined = _symbols_of(targets, self.target_)

    @property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self.symbols_, self._joined)

    @property
    def _source_vocabulary(self) -> Vocabulary:
        return Vocabulary(self.source_symbols_, self._source_joined)

    def _encode_sources(self, sources: Any) -> Sources:
        if self.source_ != "symbols":
            return sources  # type: ignore[no-any-return]
        return self._source_vocabulary.encode(sources, "source")

    def _encode_targets(self, targets: Any) -> Sequences:
        """Return targets as the network takes them, with their stops."""
        if self.target_ == "symbols":
            return with_stops(self._vocabulary.encode(targets, "target", TargetError), [len(self.symbols_)])
        flagged = np.column_stack([targets.values, np.zeros(targets.n_steps, np.float32)])
        return with_stops(targets.with_values(flagged), [0.0] * targets.n_features + [1.0])

    def _read_X(self, X: Any) -> Sources:
        """Read sources to predict from."""
        check_is_fitted(self, "network_")
        return self._encode_sources(given.read_source(self, X, self.source_, reset=False))

    def _read_again(self, X: Any, y: Any) -> tuple[Sources, Sequences]:
        """Read sources and targets for a network that is fitted."""
        sources = self._read_X(X)
        targets, _ = given.read_target(y, self.target_)
        given.check_same_number(sources, targets)
        self._check_target_size(targets)
        return sources, self._encode_targets(targets)

    def _check_target_size(self, targets: Any) -> None:
        """Refuse targets of numbers of another size than those of the fit."""
        if self.target_ == "numbers" and targets.n_features != self.network_.config.target_size:
            raise TargetError(
                f"the targets have {targets.n_features} numbers a step, but {type(self).__name__} was fitted on "
                f"{self.network_.config.target_size}."
            )

    # Fitting ---------------------------------------------------------------------------------------------------------

    def _fit(self, X: Any, y: Any, sample_weight: ArrayLike | None, groups: ArrayLike | None) -> Self:
        goes_on = self._goes_on
        known = (self.source_, self.target_) if goes_on else None
        self.__dict__.pop("_trainer", None)
        sources, targets, weights = self._read_pairs(X, y, sample_weight)
        if known not in (None, (self.source_, self.target_)):
            raise ParameterError(
                f"warm_start goes on with sources of {known} and targets, but now there are "
                f"{(self.source_, self.target_)}.\n  Set warm_start=False to start anew."
            )
        if not goes_on:
            self._set_symbols(sources, targets)
        numbered = None if groups is None else number_groups(groups, len(weights))[weights > 0]
        pairs = PairSet.merged(
            self._encode_sources(sources),
            self._encode_targets(targets),
            sample_weight=weights[weights > 0],
            groups=numbered,
        )
        self._measure_targets(pairs)
        self.recipe_ = self._choose_recipe(pairs, goes_on=goes_on)
        seed = self._draw_seed()
        held_out = pairs.hold_out(self.recipe_.validation_fraction, how=self.validation_split, seed=seed)
        self._train(held_out, seed, goes_on=goes_on)
        return self

    def _partial_fit(self, X: Any, y: Any, symbols: Any, source_symbols: Any, sample_weight: ArrayLike | None) -> Self:
        goes_on = hasattr(self, "network_")
        if goes_on:
            sources, targets = self._read_again(X, y)
            weights = read_weights(sample_weight, len(targets))
            self._vocabulary.check_no_more(symbols, "symbols")
            self._source_vocabulary.check_no_more(source_symbols, "source_symbols")
        else:
            raw_sources, raw_targets, weights = self._read_pairs(X, y, sample_weight)
            weights = weights[weights > 0]
            self._set_symbols(raw_sources, raw_targets)
            self.symbols_ = self._vocabulary.with_more(symbols, "symbols")
            self.source_symbols_ = self._source_vocabulary.with_more(source_symbols, "source_symbols")
            sources, targets = self._encode_sources(raw_sources), self._encode_targets(raw_targets)
        pairs = PairSet.merged(sources, targets, sample_weight=weights, groups=None)
        self._measure_targets(pairs, goes_on=goes_on)
        if not goes_on:
            self.recipe_ = self._choose_recipe(pairs)
        self._train_one_pass(pairs, goes_on=goes_on)
        return self

    def _measure_targets(self, pairs: PairSet, *, goes_on: bool = False) -> None:
        lengths = pairs.targets.lengths[pairs.kept] - 1
        longest, same = int(lengths.max()), bool((lengths == lengths[0]).all())
        if goes_on:
            same = same and self._same_length and longest == self.longest_target_
            longest = max(longest, self.longest_target_)
        self.longest_target_, self._same_length = longest, same

    def _choose_recipe(self, pairs: PairSet, *, goes_on: bool = False) -> Any:
        sources, parameters = pairs.sources, self.get_params(deep=False)
        if goes_on and parameters["hidden_size"] == "auto":
            parameters["hidden_size"] = self.network_.config.hidden_size
        features = 1 if sources is None else sources.n_features if isinstance(sources, Sequences) else sources.shape[1]
        return choose_decoder_recipe(
            parameters,
            PairShape.of(pairs),
            source=self.source_,
            target=self.target_,
            source_size=len(self.source_symbols_) or features,
            target_size=len(self.symbols_) or pairs.targets.n_features - 1,
        )

    def _prepare(self, training_set: PairSet, *, goes_on: bool) -> PairSet:
        self._steps_planned = 0
        if self.scheduled_sampling and not goes_on:
            self._steps_planned = self.recipe_.training.max_epochs * len(self._training_batches(training_set)[0])
        return training_set

    def _make_task(self) -> Decoding:
        return Decoding(
            self.network_,
            label_smoothing=self.recipe_.label_smoothing,
            scheduled_sampling=self.scheduled_sampling,
            sampling_steps=getattr(self, "_steps_planned", 0),
        )

    def _new_network(self, training_set: PairSet) -> SequenceDecoder:
        network = SequenceDecoder(self.recipe_.network).to(self._torch_device())
        kept, weights = training_set.kept, training_set.weights
        if self.source_ in ("numbers", "vector"):
            sources: Any = training_set.sources
            if self.source_ == "numbers":
                scaler = ChannelScaler.fit_sequences(sources, kept, weights[kept])
            else:
                scaler = ChannelScaler.fit(sources[kept], weights[kept])
            network.views.scale_channels(scaler.mean, scaler.scale)
        if self.target_ == "numbers":
            values = training_set.targets.values.copy()
            values[values[:, -1] > 0] = np.nan  # a stop has no numbers
            scaler = ChannelScaler.fit_sequences(training_set.targets.with_values(values), kept, weights[kept])
            network.target_mean.copy_(torch.from_numpy(scaler.mean[:-1]))
            network.target_scale.copy_(torch.from_numpy(scaler.scale[:-1]))
        return network

    def _training_batches(self, training_set: PairSet) -> tuple[BatchSource, BatchSource | None]:
        options = {"bptt_steps": self.recipe_.bptt_steps, "device": self._torch_device()}
        training = training_set.batches(training_set.kept, batch_size=self.recipe_.batch_size, **options)  # type: ignore[arg-type]
        if not len(training_set.held):
            return training, None
        lanes = self._held_lanes(training_set.targets.lengths[training_set.held])
        return training, training_set.batches(training_set.held, batch_size=lanes, **options)  # type: ignore[arg-type]

    def _held_lanes(self, lengths: NDArray[np.int64]) -> int:
        """Return how many targets are validated on side by side."""
        lanes, steps = max(32, self.recipe_.batch_size), self.recipe_.bptt_steps
        if self.source_ != "nothing" or steps is None or lengths.max() <= steps:
            return lanes
        # A lane that begins in the middle of a text has no state to go on from: few of them, and long ones.
        return min(lanes, max(1, int(lengths.sum()) // (_PIECES_OF_A_LANE * steps)))

    # Using the network -----------------------------------------------------------------------------------------------

    def _encoded(self, sources: Sources, at_once: int = _AT_ONCE) -> Iterator[tuple[NDArray[np.int64], Any]]:
        """Yield sources read by the network, some at a time, with their places; places may be repeated at the end."""
        self.network_.eval()
        order = np.zeros(1, np.int64)
        if isinstance(sources, Sequences):
            order = np.argsort(-sources.lengths, kind="stable")
        elif sources is not None:
            order = np.arange(len(sources))
        device = next(self.network_.parameters()).device
        at_once = max(_TILE, at_once - at_once % _TILE)
        for start in range(0, len(order), at_once):
            index = order[start : start + at_once]
            index = np.concatenate([index, np.repeat(index[-1:], -len(index) % _TILE)])
            with torch.inference_mode():
                yield index, self.network_.encode(take_sources(sources, index, device), len(index))

    def _target_batches(self, sources: Sources, targets: Sequences) -> PairBatches | StreamBatches:
        """Return batches of whole targets, or for very long ones of pieces that go on from each other."""
        device = next(self.network_.parameters()).device
        if targets.lengths.max() <= _STEPS_AT_ONCE:
            return PairBatches(sources, targets, batch_size=_AT_ONCE, max_rows=_ROWS_AT_ONCE, device=device)
        return StreamBatches(sources, targets, batch_size=_TILE, steps=_STEPS_AT_ONCE, cut=False, device=device)

    def _by_row(
        self, X: Any, y: Any, what: str, width: int | None = None
    ) -> tuple[list[NDArray[np.float64]], Sequences]:
        """Run the network over given targets; return `what` the task finds at each row of each target, and the targets.

        Results of several columns fill up `width` with zeros.
        """
        sources, targets = self._read_again(X, y)
        self.network_.eval()
        task = self._make_task()
        found = np.zeros((targets.n_steps, 1 if width is None else width))
        with torch.inference_mode():
            for batch in self._target_batches(sources, targets).longest_first():
                values = getattr(task, what)(batch.inputs, batch.targets).cpu().double().numpy()
                found[batch.rows, : values.shape[-1]] = values.reshape(len(values), -1)
        return np.split(found, targets.offsets[1:-1]), targets

    # What a model file is checked for ---------------------------------------------------------------------------------

    def _check_config(self, config: DecoderConfig) -> None:
        for name, allowed in (("source", SOURCES), ("target", TARGETS), ("attention", (None, *ATTENTIONS))):
            if getattr(config, name) not in allowed:
                raise ModelFileError(f"the file speaks of the {name} {getattr(config, name)!r:.60}.")

    def _check_state(self) -> None:
        config = self.network_.config
        if (self.source_, self.target_) != (config.source, config.target):
            raise ModelFileError(f"the network is of {config.source} and {config.target}, the estimator of others.")
        for vocabulary, kind, size in (
            (self._source_vocabulary, config.source, config.source_size),
            (self._vocabulary, config.target, config.target_size),
        ):
            _check_symbols(vocabulary, size if kind == "symbols" else 0)
        forms = given.FORMS if config.target == "numbers" else ("",)
        one_number = self._form in ("rows", "") or config.target_size == 1
        if self._form not in forms or not one_number or not 1 <= self.longest_target_ <= _LONGEST_TARGET:
            raise ModelFileError(
                f"the targets are {self._form!r:.60} of {config.target_size}, of up to {self.longest_target_} steps."
            )
        if config.source in ("numbers", "vector"):
            name = "n_sequence_features_" if config.source == "numbers" else "n_features_in_"
            if getattr(self, name, None) != config.source_size:
                raise ModelFileError(f"the network takes {config.source_size} features, the estimator others.")
        if config.target == "numbers" and not bool((self.network_.target_scale > 0).all()):
            raise ModelFileError("target_scale is divided by, and is not above 0.")


def _symbols_of(sequences: Any, kind: str) -> tuple[list[Any], bool]:
    if kind != "symbols":
        return [], False
    vocabulary = Vocabulary.of(sequences)
    return vocabulary.symbols, vocabulary.joined


def _check_symbols(vocabulary: Vocabulary, size: int) -> None:
    symbols = vocabulary.symbols
    if len(symbols) != size or {*map(type, symbols)} not in ({str}, {int}, set()):
        raise ModelFileError(f"the network knows {size} symbols, the estimator {len(symbols)} or others.")
    if symbols != sorted(set(symbols)):
        raise ModelFileError("the symbols are not in order, or one of them is there twice.")
    if vocabulary.joined and not all(isinstance(symbol, str) and len(symbol) == 1 for symbol in symbols):
        raise ModelFileError("the symbols of strings are characters, and some of these are not.")
