"""What a forecaster does behind its surface: reading series, choosing, training, calibrating, asking the network."""

import warnings
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from longspan.data import ChannelScaler
from longspan.data.calendar import CYCLES, Step, calendar_cycles, grid_times
from longspan.data.windows import SeriesBlock, Windows
from longspan.errors import DataError, ModelFileError, NonFiniteError, ParameterError, ShapeError, TrainingWarning
from longspan.estimators._base import NetworkEstimator
from longspan.estimators._forecasting.conformal import conformal_widths
from longspan.estimators._forecasting.linear import fit_linear, spread_of_errors
from longspan.estimators._forecasting.parameters import (
    all_levels,
    check_count,
    check_forecaster,
    check_levels,
    choose_forecaster_recipe,
    choose_lengths,
    dropout_of,
)
from longspan.estimators._forecasting.rollout import Rollout, tails
from longspan.estimators._forecasting.series import (
    SeriesSet,
    padded,
    read_known,
    read_series,
    refuse_unseen,
    season_from_autocorrelation,
    series_block,
    unwrap_frame,
    value_rows,
)
from longspan.estimators._forecasting.training_set import ForecastSet
from longspan.estimators._inputs import read_sequences
from longspan.tasks.forecast import ForecasterConfig, Forecasting, ForecastNetwork

_CALIBRATED = 1000
"""Windows held out by which the intervals are calibrated, at most; fewer where paths have to be drawn."""

_CALIBRATED_BY_PATHS = 32

_LONGEST_SEASON = 400

_SCALES = ("base_spread", "covariate_scale", "static_scale")
"""Of the network, what is divided by, or is a distance."""

_MARGIN = 0.05
"""Share by which the network must lower the loss of the linear forecast to be believed, on small sets."""


@dataclass(kw_only=True, eq=False, repr=False)
class SeriesForecaster(NetworkEstimator):
    """Base of `LSTMForecaster`."""

    horizon: int | str = field(default="auto", kw_only=False)
    context_length: int | str = "auto"
    season_length: int | str = "auto"
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)
    output: str = "quantiles"
    strategy: str = "direct"
    log: bool | str = "auto"
    conformal: bool = True
    validation_split: str = "time"

    network_: ForecastNetwork = field(init=False)
    horizon_: int = field(init=False)
    season_length_: int = field(init=False)
    log_: bool = field(init=False)
    cycles_: list[str] = field(init=False)
    widths_: NDArray[np.float64] = field(init=False)
    _step: list[Any] = field(init=False)
    _tail_values: NDArray[np.float64] = field(init=False)
    _tail_lengths: NDArray[np.int64] = field(init=False)

    _network_type: ClassVar[Any] = ForecastNetwork

    _state: ClassVar[dict[str, type]] = NetworkEstimator._state | {
        "horizon_": int,
        "season_length_": int,
        "log_": bool,
        "cycles_": list,
        "widths_": np.ndarray,
        "_step": list,
        "_n_known": int,
        "_tail_values": np.ndarray,
        "_tail_known": np.ndarray,
        "_tail_static": np.ndarray,
        "_tail_changes": np.ndarray,
        "_tail_lengths": np.ndarray,
        "_tail_times": np.ndarray,
    }

    _optional_state: ClassVar[frozenset[str]] = NetworkEstimator._optional_state | {"_tail_times"}

    @property
    def context_length_(self) -> int:
        """Steps that the network sees before an origin."""
        check_is_fitted(self, "network_")
        return int(self.network_.config.context_length)

    # Fitting ---------------------------------------------------------------------------------------------------------

    def _choose_horizon(self, series: SeriesSet) -> int:
        """Return the horizon that a fit on these series would choose."""
        twin = clone(self)
        twin._look_at(series)
        return choose_lengths(self.get_params(deep=False), series.block, twin.season_length_).horizon

    def _look_at(self, series: SeriesSet) -> None:
        """Remember the step, the season and the calendar of the series."""
        step = series.step
        self._step = [] if step is None else [step.kind, step.count, step.at_month_end]
        span = float(series.block.lengths.max())
        self.cycles_ = [] if step is None else list(calendar_cycles(step, span))
        self._n_known = series.block.covariates.shape[1]
        if not isinstance(self.season_length, str):
            self.season_length_ = int(self.season_length)
            return
        season = None if step is None else step.season_length
        if season is None:
            longest = min(_LONGEST_SEASON, int(np.median(series.block.lengths)) // 3)
            season = season_from_autocorrelation(series.block, longest)
        self.season_length_ = season

    def _transformed_set(self, block: Any, lengths: Any, *, goes_on: bool) -> ForecastSet:
        """Return the windows, of logarithms if that is asked for or forecasts better."""
        positive = bool((block.values[~np.isnan(block.values)] > 0).all())
        wanted = self.log_ if goes_on else self.log
        if wanted is True and not positive:
            raise ParameterError("log is True, but the series have values that are not above 0.")
        found: dict[bool, ForecastSet] = {}
        for log in (False, True):
            if log not in ((False, positive) if isinstance(wanted, str) else (wanted,)):
                continue
            changed = replace(block, values=_forward(block.values, log=log))
            found[log] = ForecastSet.of(changed, lengths)
            if not len(found[log].origins.rows):
                raise DataError(
                    f"no window of {lengths.context} + {lengths.horizon} steps has enough values that were measured.\n"
                    f"  Use a shorter context_length or horizon."
                )
            found[log] = found[log].with_linear()
        errors = {log: each.errors_in_units(partial(_backward, log=log)) for log, each in found.items()}
        self.log_ = min(errors, key=lambda log: errors[log])
        return found[self.log_]

    def _choose_recipe(self, everything: ForecastSet) -> None:
        parameters = self.get_params(deep=False)
        config = ForecasterConfig(
            context_length=everything.lengths.context,
            horizon=everything.lengths.horizon,
            season_length=everything.lengths.season,
            n_channels=everything.block.n_channels,
            covariate_size=everything.block.covariates.shape[1],
            static_size=everything.block.static.shape[1],
            output=self.output,
            levels=all_levels(check_levels(self.quantiles)),
            cell=self.cell,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            dropout=dropout_of(parameters),
            window=self.window,
            init="forget_bias" if self.init == "auto" else self.init,
            max_lag=(self.max_lag or max(2, everything.lengths.context)) if self.init == "chrono" else None,
            cell_options=self.cell_options or {},
        )
        self.recipe_ = choose_forecaster_recipe(parameters, config, len(everything.kept))

    def _fit_set(self, everything: ForecastSet, seed: int, *, goes_on: bool) -> None:
        """Find the best epoch on what is held out and calibrate there; then train on everything for so many epochs."""
        part = everything.hold_out(self.recipe_.validation_fraction, how=self.validation_split, seed=seed)
        trainer = self._train(part, seed, goes_on=goes_on, title=", to find the best epoch" if len(part.held) else "")
        found = self.history_
        done = goes_on or not len(part.held) or self.stop_reason_ == "interrupted"
        if not done:
            better = self._is_better(trainer.validation_losses, part)
            self._stop_after(self.best_epoch_ if better else 0)
            if not better:
                self._train(part, seed)
        self.widths_ = self._calibrate(part)
        if done:
            return
        try:
            self._train(everything, seed, title=", on everything")
        except KeyboardInterrupt:
            self._interrupted(found)
            return
        for ours, theirs in zip(self.history_, found, strict=False):
            ours |= {name: value for name, value in theirs.items() if name.startswith("validation_")}
        self.history_ = self.history_ or found
        self.n_iter_ = len(self.history_)

    def _interrupted(self, found: list[dict[str, Any]]) -> None:
        """Keep the network that was validated, which has not seen the part held out."""
        self.stop_reason_, self.history_ = "interrupted", found
        warnings.warn(
            "training was interrupted; the network that has not seen the latest part is kept.",
            TrainingWarning,
            stacklevel=5,  # the line that called the estimator
        )

    def _stop_after(self, epochs: int) -> None:
        self.recipe_ = replace(self.recipe_, training=replace(self.recipe_.training, stop_after=epochs))

    def _is_better(self, losses: list[float], part: ForecastSet) -> bool:
        """Return whether the best epoch is better than the linear forecast by more than chance may have it."""
        independent = len(part.held) / part.lengths.horizon  # neighbouring windows have nearly everything in common
        margin = min(_MARGIN, 1.0 / np.sqrt(independent))
        # The logarithm of a scale is to a likelihood what the scale is to an error.
        least = losses[0] * (1.0 - margin) if self.output == "quantiles" else losses[0] - margin
        return bool(min(losses) < least)

    def _calibrate(self, part: ForecastSet) -> NDArray[np.float64]:
        """Return what the windows held out say about the widths of the intervals."""
        levels = self.network_.config.levels
        horizon = self.horizon_
        none = np.ones((horizon, len(levels)))
        if not self.conformal or not len(part.held):
            return none
        most = _CALIBRATED_BY_PATHS if self.strategy == "recursive" else _CALIBRATED
        index = part.held[:: max(1, -(-len(part.held) // most))]
        asker = self._asker(widths=None)
        if self.strategy == "direct":
            windows = part.windows(index, batch_size=512, device=self._torch_device())
            truth = windows.gather(np.arange(len(index)))[1]
            return conformal_widths(truth, asker.run(windows, levels), levels)
        at = part.origins.take(index)
        inside = at.rows + horizon <= part.block.ends[at.series]
        at = at.take(np.flatnonzero(inside))
        if not len(at.rows):
            return none
        cut = tails(replace(part.block, ahead=horizon), at.rows, at.series, part.lengths.context)
        quantiles = asker.quantiles(cut, levels)[np.arange(len(at.rows)), :, at.channels]
        truth = part.block.values[at.rows[:, None] + np.arange(horizon), at.channels[:, None]]
        return conformal_widths(truth, quantiles, levels)

    def _new_network(self, training_set: ForecastSet) -> ForecastNetwork:
        network = ForecastNetwork(self.recipe_.network)
        examples = training_set.examples(training_set.kept)
        linear = training_set.linear
        if linear is None:
            raise ValueError("the linear forecast was not chosen")
        weight, bias = fit_linear(examples, linear)
        errors = linear.errors
        if not len(errors):
            errors = examples.targets - examples.contexts @ weight - bias
        config = network.config
        spread = spread_of_errors(errors, config.levels, config.output)
        network.set_base(*(torch.from_numpy(array).float() for array in (weight, bias, spread)))
        _scale_covariates(network, training_set)
        return network.to(self._torch_device())

    def _training_batches(self, training_set: ForecastSet) -> tuple[Windows, Windows | None]:
        device = self._torch_device()
        training = training_set.windows(
            training_set.kept, batch_size=self.recipe_.batch_size, device=device, whole=False
        )
        if not len(training_set.held):
            return training, None
        return training, training_set.windows(training_set.validated(), batch_size=512, device=device)

    def _make_task(self) -> Forecasting:
        return Forecasting(self.network_)

    def _keep_tail(self, series: SeriesSet) -> None:
        """Remember the last context of each series: where `predict` begins when it is given nothing."""
        block = series.block
        count, rows = len(block.lengths), self.context_length_ + 1
        tail = tails(block, block.ends, np.arange(count), rows - 1)
        as_learned = replace(block, values=_forward(block.values, log=self.log_))
        self._tail_values = tail.values.reshape(count, rows, -1)
        # The row before the context, from which a gap at its start is bridged: along logarithms if these are forecast.
        self._tail_values[:, 0] = _backward(as_learned.filled()[block.ends - rows], log=self.log_)
        self._tail_changes = as_learned.mean_changes()
        self._tail_lengths = block.lengths
        self._tail_known = tail.covariates.reshape(count, rows, -1)
        self._tail_static = block.static
        self.__dict__.pop("_tail_times", None)
        times = series.last_times()
        if times is not None:
            self._tail_times = times

    # Forecasting -----------------------------------------------------------------------------------------------------

    @property
    def _fitted_levels(self) -> tuple[float, ...]:
        """The levels that were asked for when fitting; without 0.5 if that was added."""
        levels = self.network_.config.levels
        asked = tuple(float(level) for level in self.quantiles)
        return asked if set(asked) <= set(levels) else levels

    def _forecast(
        self, X: Any, horizon: int | None, times: Any, known: Any, static: Any, levels: tuple[float, ...]
    ) -> tuple[NDArray[np.float64], SeriesSet]:
        """Return quantiles, shape (N, horizon, Q) or (N, horizon, K, Q), and what was read."""
        check_is_fitted(self, "network_")
        steps = self._steps_ahead(horizon)
        series = self._series_ahead(X, steps, times, known, static)
        quantiles = self._quantiles_of(series, levels)
        return (quantiles[:, :, 0] if series.block.n_channels == 1 else quantiles), series

    def _quantiles_of(self, series: SeriesSet, levels: tuple[float, ...]) -> NDArray[np.float64]:
        """Return quantiles of the rows ahead in the units of the data, shape (N, ahead, K, Q)."""
        config = self.network_.config
        if config.output == "quantiles" and self.strategy == "direct" and not set(levels) <= set(config.levels):
            raise ParameterError(
                f"the quantiles {levels} were asked for, but {config.levels} were learned.\n"
                f"  Fit with quantiles={levels}, or with a distribution, which has all of them."
            )
        self._check_long_enough(series.block, config.context_length)
        asked = all_levels(levels)
        quantiles = _backward(self._asker(self.widths_).quantiles(self._as_learned(series), asked), log=self.log_)
        return quantiles[..., [asked.index(level) for level in levels]]

    def _as_learned(self, series: SeriesSet) -> SeriesBlock:
        """Return the series as the network computes with them: with the calendar, and maybe as logarithms."""
        block = series.with_calendar(tuple(self.cycles_))
        return replace(block, values=_forward(block.values, log=self.log_))

    def _asker(self, widths: NDArray[np.float64] | None) -> Rollout:
        return Rollout(self._make_task(), self.strategy == "recursive", widths)

    def _steps_ahead(self, horizon: Any) -> int:
        if horizon is None:
            return self.horizon_
        return check_count("horizon", horizon)

    def _series_ahead(
        self, X: Any, ahead: int, times: Any, known: Any, static: Any, *, only_times: bool = False
    ) -> SeriesSet:
        """Read what to forecast, with rows for the steps to come."""
        if X is not None:
            if only_times:
                return self._read(X, times, None, None, reset=False, ahead=ahead, bare=True)
            return self._read(X, times, known, static, reset=False, ahead=ahead)
        if times is not None or static is not None:
            raise ParameterError("times and static go with X: without X, forecasts go on from the training series.")
        return self._from_tail(None if only_times else known, ahead, bare=only_times)

    def _from_tail(self, known: Any, ahead: int, *, bare: bool) -> SeriesSet:
        """Return the last contexts of the training series, with rows for the steps to come."""
        values = list(self._tail_values)
        if bare:
            future = [np.zeros((ahead, self._n_known))] * len(values)
        else:
            future = read_known(known, [part[:0] for part in values], ahead)
            self._check_widths(future[0].shape[1], self._tail_static.shape[1])
        told = [np.concatenate(parts) for parts in zip(self._tail_known, future, strict=True)]
        block = series_block([padded(part, ahead) for part in values], told, self._tail_static, ahead)
        block = replace(block, changes=self._tail_changes)
        step = self._fitted_step
        if step is None:
            return SeriesSet(block, None, None)
        places = np.arange(-self.context_length_, ahead + 1)
        return SeriesSet(block, np.concatenate([grid_times(last, places, step) for last in self._tail_times]), step)

    @property
    def _fitted_step(self) -> Step | None:
        return Step(*self._step) if self._step else None

    def _read(
        self, X: Any, times: Any, known: Any, static: Any, *, reset: bool, ahead: int = 0, bare: bool = False
    ) -> SeriesSet:
        """Read series, and compare them with those of the fit, or remember what they are like with `reset`."""
        X, times = unwrap_frame(X, times)
        self._check_columns(X, reset=reset)
        values = value_rows(X)
        if not reset and (times is None) != (not self._step):
            had = "without" if not self._step else "with"
            raise DataError(f"the forecaster was fitted {had} times, so X must come {had} times too.")
        step = None if reset else self._fitted_step
        series = read_series(values, times=times, known=known, static=static, ahead=ahead, step=step)
        refuse_unseen(series.block)
        if not reset and not bare:
            self._check_widths(series.block.covariates.shape[1], series.block.static.shape[1])
        return series

    def _check_columns(self, X: Any, *, reset: bool) -> None:
        """Compare X with what was fitted on, as scikit-learn does; a table may have more columns, which are steps."""
        shape: tuple[int, ...] = getattr(X, "shape", ())
        longer = not reset and len(shape) == 2 and shape[1] > self.n_features_in_ and self._columns_are_steps
        read_sequences(self, np.asarray(X)[..., None] if longer else X, reset=reset, allow_missing=True)

    def _check_widths(self, known: int, static: int) -> None:
        fitted = self.network_.config.static_size if hasattr(self, "network_") else static
        for name, found, wanted in (("known", known, self._n_known), ("static", static, fitted)):
            if found != wanted:
                raise ShapeError(f"{name} has {found} columns, but the forecaster was fitted on {wanted}.")

    def _check_long_enough(self, block: Any, least: int) -> None:
        short = np.flatnonzero(block.lengths < least)
        if len(short):
            raise DataError(
                f"series {short[0]} has {block.lengths[short[0]]} steps, but at least {least} are needed: the context "
                f"that the forecaster was fitted with is {self.context_length_} steps."
            )

    # What a model file is checked for ---------------------------------------------------------------------------------

    def _kind_of_network(self) -> dict[str, tuple[Any, Any]]:
        kinds = super()._kind_of_network() | {"output": (self.output, self.recipe_.network.output)}
        one_step = self.recipe_.network.horizon == 1
        return kinds | ({} if one_step else {"strategy": (self.strategy, "direct")})

    def _check_config(self, config: ForecasterConfig) -> None:
        if config.levels != all_levels(check_levels(config.levels)):
            raise ModelFileError(f"the file speaks of the quantiles {config.levels!r:.60}.")

    def _check_read_state(self) -> None:
        """Raise an error for parameters and times that a forecaster cannot have."""
        check_forecaster(self.get_params(deep=False))
        kinds = {"months": int, "business days": int, "microseconds": int, "number": float}
        step: Any = self._step
        known = not step or (len(step) == 3 and type(step[1]) is kinds.get(str(step[0])))
        if not known or (step and step[1] <= 0):
            raise ModelFileError(f"the file speaks of steps of {step!r:.60}.")
        if bool(step) != hasattr(self, "_tail_times") or not set(self.cycles_) <= set(CYCLES):
            raise ModelFileError("the times in the file do not go with its step, or with its calendar.")

    def _check_state(self) -> None:
        self._check_read_state()
        config = self.network_.config
        count = len(self._tail_values)
        expected = {
            "widths_": (self.horizon_, len(config.levels)),
            "_tail_values": (count, config.context_length + 1, config.n_channels),
            "_tail_known": (count, config.context_length + 1, self._n_known),
            "_tail_changes": (count, config.n_channels),
            "_tail_lengths": (count,),
            "_tail_static": (count, config.static_size),
        }
        for name, shape in expected.items():
            _check_array(name, getattr(self, name), shape, gaps=name == "_tail_values")
        if hasattr(self, "_tail_times"):
            _check_times(self._tail_times, count, of_dates=self._step[0] != "number")
        scales = (self.widths_, *(getattr(self.network_, name).numpy(force=True) for name in _SCALES))
        if self.season_length_ < 1 or self.horizon_ < 1 or not all((scale > 0).all() for scale in scales):
            raise ModelFileError("the season, the horizon, a scale or a width of the intervals is not above 0.")
        if config.n_channels != self.n_sequence_features_:
            raise ModelFileError(f"the network takes {config.n_channels} channels, not {self.n_sequence_features_}.")
        if self._n_known + 2 * len(self.cycles_) != config.covariate_size:
            raise ModelFileError(f"the network takes {config.covariate_size} covariates, which the file does not have.")


def _check_array(name: str, array: Any, shape: tuple[int, ...], *, gaps: bool) -> None:
    """Refuse what is no array of numbers of this shape that a network can take; NaN only where there may be `gaps`."""
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype.kind not in "fi":
        raise ModelFileError(f"{name} is no array of numbers of shape {shape}.")
    if not (gaps & np.isnan(array) | (np.abs(array) <= np.finfo(np.float32).max)).all():
        raise ModelFileError(f"{name} holds numbers that are not finite, or too large.")


def _check_times(times: Any, count: int, *, of_dates: bool) -> None:
    """Refuse what is no time for each of `count` series."""
    kind = "M" if of_dates else "f"
    right = isinstance(times, np.ndarray) and times.shape == (count,) and times.dtype.kind == kind
    if not right or (times != times).any():  # NaT and NaN differ from themselves
        raise ModelFileError(f"the file does not hold the time of the last value of each of {count} series.")


def _forward(values: NDArray[np.float64], *, log: bool) -> NDArray[np.float64]:
    if not log:
        return values
    if (values <= 0).any():
        raise NonFiniteError(
            "the forecaster was fitted on the logarithm of positive series, but these hold 0 or values below.\n"
            "  Fit with log=False."
        )
    return np.asarray(np.log(values))


def _backward(values: NDArray[np.float64], *, log: bool) -> NDArray[np.float64]:
    return np.asarray(np.exp(np.minimum(values, 700.0))) if log else values


def _scale_covariates(network: ForecastNetwork, training_set: ForecastSet) -> None:
    """Standardise what is known in advance and of each series."""
    for name, values in (("covariate", training_set.block.covariates), ("static", training_set.block.static)):
        width = values.shape[1]
        if width:
            scaler = ChannelScaler.fit(values)
            mean, scale = getattr(network, f"{name}_mean"), getattr(network, f"{name}_scale")
            mean[:width] = torch.from_numpy(scaler.mean)
            scale[:width] = torch.from_numpy(scaler.scale)
