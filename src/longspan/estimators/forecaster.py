"""`LSTMForecaster`: the next steps of many series, with quantiles."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from longspan.errors import DataError
from longspan.estimators._base import all_or_nothing
from longspan.estimators._forecasting.backtest import Backtest, backtest, with_last
from longspan.estimators._forecasting.base import SeriesForecaster
from longspan.estimators._forecasting.fan_chart import fan_chart
from longspan.estimators._forecasting.metrics import mase_scale, mean_known
from longspan.estimators._forecasting.parameters import check_forecaster, check_levels, choose_lengths
from longspan.estimators._forecasting.series import read_series, refuse_unseen, unwrap_frame, value_rows
from longspan.estimators._parameters import documented
from longspan.sequences import as_sequences


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class LSTMForecaster(SeriesForecaster):
    """Forecast the next steps of one or many series, with quantiles, with an LSTM.

    Parameters
    ----------
    horizon : int or "auto", default "auto"
        Steps to forecast. ``"auto"`` is a season, or a tenth of the shortest series up to 12 steps.
    context_length : int or "auto", default "auto"
        Steps that the network sees before each origin. ``"auto"`` is two seasons or, without one, two horizons, and 16
        steps at least (32 where the series have 4,000 in all); less where series are short.
    season_length : int or "auto", default "auto"
        Steps of a season; 1 for none. ``"auto"`` reads it from the times (months 12, quarters 4, weeks 52, days 7,
        hours 24...), or else from the autocorrelation of the series.
    quantiles : tuple of float, default (0.1, 0.5, 0.9)
        Levels that are learned; they cannot cross. The outermost two bound the interval that `backtest` checks.
    output : {"quantiles", "normal", "student_t"}, default "quantiles"
        Learn quantiles by the pinball loss, or a distribution by its likelihood, which has quantiles at every level.
    strategy : {"direct", "recursive"}, default "direct"
        Forecast the horizon in one piece; or one step, drawn and fed back along 100 paths.
    log : bool or "auto", default "auto"
        Forecast the logarithm of positive series, whose swings grow with their level. ``"auto"`` takes what forecasts
        better the later part of the training data.
    conformal : bool, default True
        Widen or narrow the intervals until they would have covered their share of the windows held out.
    validation_split : {"time", "random"}, default "time"
        Hold out the latest windows of each series, or whole series by chance.
    {parameters}

    Attributes
    ----------
    horizon_, context_length_, season_length_ : int
        What was chosen.
    log_ : bool
        Whether logarithms are forecast.
    cycles_ : list of str
        Cycles of the calendar that the network is told.
    widths_ : ndarray, shape (H, Q)
        What the calibration multiplies the distances of the Q quantiles from the median by, at each of H steps ahead.
    n_features_in_ : int
        Channels of a series K; for a 2-D array, its number of columns.
    network_ : longspan.tasks.ForecastNetwork
        The trained network, in evaluation mode.
    recipe_ : Recipe
        What every ``"auto"`` became.
    history_ : list of dict
        One record an epoch.
    n_iter_, best_epoch_ : int
        Epochs trained, and the one whose weights are kept; 0 stands for the linear forecast that training begins with.
    stop_reason_ : str
        ``"max_epochs"``, ``"no_improvement"``, ``"interrupted"`` or ``"diverged"``.

    Notes
    -----
    One network serves all series. Each context is seen relative to its last value and in units of its own changes. What
    the network learns is added to a linear forecast: a mixture of classical ones (the last value, the mean, the last
    season, the mean season, with and without drift), each refined by ridge regression on the context, weighted by how
    they did on the later parts of the training data. The network begins there, with quantiles as wide as the errors of
    that forecast, and keeps the epoch that did best on the windows held out (the latest quarter); on small sets it must
    be 5% better than the linear forecast, or epoch 0 is kept. Then it is trained once more for so many epochs on
    everything.

    Series of several channels are forecast channel by channel; the network sees them all, and is told which it is to
    forecast. A horizon longer than the one that was trained goes on from the median forecast, the widths added as those
    of independent errors.

    Gaps (NaN, or times that are left out) are bridged for the network, which is told so, and count for nothing as
    targets. Calibrated intervals hold their share as far as errors of the future are like those on the windows held out
    (they are exchangeable); series that change their habits break that promise, and so do intervals for single series
    that are always hard.

    Examples
    --------
    >>> import numpy as np
    >>> from longspan import LSTMForecaster
    >>> steps = np.arange(60)
    >>> X = [np.sin(2 * np.pi * steps / 6) + level for level in (0.0, 5.0)]
    >>> forecaster = LSTMForecaster(horizon=6, hidden_size=8, max_epochs=5, random_state=0).fit(X)
    >>> forecaster.season_length_
    6
    >>> forecaster.predict().shape, forecaster.predict_quantiles(X, 3).shape
    ((2, 6), (2, 3, 3))

    References
    ----------
    Hochreiter & Schmidhuber 1997, "Long short-term memory", Neural Computation 9 (8);
    Wen et al. 2017, "A multi-horizon quantile recurrent forecaster"; Lai et al. 2018, "Modeling long- and short-term
    temporal patterns with deep neural networks"; Romano et al. 2019, "Conformalized quantile regression".
    """

    # Fitting ---------------------------------------------------------------------------------------------------------

    @all_or_nothing
    def fit(self, X: Any, y: Any = None, *, times: Any = None, known: Any = None, static: Any = None) -> Self:
        """Learn from series.

        Parameters
        ----------
        X : list of arrays (T_i,) or (T_i, K), Sequences, array (N, T) or (N, T, K), pandas Series or DataFrame
            The past of each series; a 2-D array is N series of one channel. A DataFrame whose index are dates holds a
            series in each column; a list of pandas Series or DataFrames whose indices are dates holds series with times
            of their own. NaN is a gap.
        y : None
            Not used.
        times : array (T_i,) for each series, or one for all, optional
            Dates (datetime64, pandas or ISO text) or numbers, strictly rising, on a regular grid of a fixed step, of
            months or of business days; some may be left out. Dates of pandas with a zone that all show the same time of
            day are read as clocks show them, others with a zone as UTC.
        known : array (T_i, F) or (T_i,) for each series, or one for all, optional
            Covariates that are known in advance: holidays, prices, plans.
        static : array (N, S), optional
            What is known of each series.

        Returns
        -------
        self

        Raises
        ------
        DataError, ShapeError, NonFiniteError, EmptyDataError
            If the series cannot be learned from; the message says where and why.
        ParameterError
            If a parameter is out of range.
        """
        check_forecaster(self.get_params(deep=False))
        goes_on = self._goes_on
        series = self._read(X, times, known, static, reset=not goes_on)
        if not goes_on:
            self._look_at(series)
        block = series.with_calendar(tuple(self.cycles_))
        lengths = choose_lengths(self.get_params(deep=False), block, self.season_length_)
        self.horizon_ = lengths.horizon
        trained = replace(lengths, horizon=1) if self.strategy == "recursive" else lengths
        everything = self._transformed_set(block, trained, goes_on=goes_on)
        self._choose_recipe(everything)
        self._fit_set(everything, self._draw_seed(), goes_on=goes_on)
        self._keep_tail(series)
        return self

    # Forecasting -----------------------------------------------------------------------------------------------------

    def predict(
        self, X: Any = None, horizon: int | None = None, *, times: Any = None, known: Any = None, static: Any = None
    ) -> NDArray[np.float64]:
        """Return the median forecast of the steps after the end of each series.

        Parameters
        ----------
        X : as in `fit`, optional
            The past, of these series or of others; None goes on from the end of the training series.
        horizon : int, optional
            Steps to forecast; by default those of the fit. More go on from the median, step by step or block by block.
        times, static
            As in `fit`.
        known : array (T_i + horizon, F) for each series, or one for all
            Covariates of the past and of the steps to come; without X only of the steps to come, (horizon, F).

        Returns
        -------
        ndarray, shape (N, horizon), or (N, horizon, K) for series of more than one channel.

        Raises
        ------
        DataError, ShapeError, NonFiniteError, ParameterError
            If the series are too short, or do not go with those of the fit; the message says where and why.
        """
        return self._forecast(X, horizon, times, known, static, (0.5,))[0][..., 0]

    def predict_quantiles(
        self,
        X: Any = None,
        horizon: int | None = None,
        *,
        times: Any = None,
        known: Any = None,
        static: Any = None,
        quantiles: tuple[float, ...] | None = None,
    ) -> NDArray[np.float64]:
        """Return quantiles of the steps after the end of each series; they never cross.

        Parameters
        ----------
        X, horizon, times, known, static
            As in `predict`.
        quantiles : tuple of float, optional
            Levels; by default those of the fit. Others only where a distribution was learned, or step by step.

        Returns
        -------
        ndarray, shape (N, horizon, Q), or (N, horizon, K, Q) for series of more than one channel.
        """
        check_is_fitted(self, "network_")
        levels = self._fitted_levels if quantiles is None else check_levels(quantiles)
        return self._forecast(X, horizon, times, known, static, levels)[0]

    def predict_times(self, X: Any = None, horizon: int | None = None, *, times: Any = None) -> NDArray[Any]:
        """Return the times of the steps that `predict` forecasts, shape (N, horizon).

        Without times in the fit these are the numbers of the steps, 0 for the first value of each series.
        """
        check_is_fitted(self, "network_")
        known = np.zeros((1, self._n_known)) if self._n_known else None
        series = self._series_ahead(X, self._steps_ahead(horizon), times, known, None, only_times=True)
        block = series.block
        if series.times is not None:
            return np.asarray(series.times[block.ends[:, None] + np.arange(block.ahead)])
        lengths = self._tail_lengths if X is None else block.lengths
        return np.asarray(lengths[:, None] + np.arange(block.ahead))

    def score(self, X: Any, y: Any = None, *, times: Any = None, known: Any = None, static: Any = None) -> float:
        """Return minus the MASE of the last horizon of each series, forecast from what comes before it.

        MASE is the mean absolute error over that of the seasonal-naive forecast within the earlier part (Hyndman &
        Koehler 2006), so -1 is as good as that, and 0 is perfect. Series of which a season is as the one before do not
        count; if all are such, it is minus the mean absolute error.

        Parameters
        ----------
        X, times, known, static
            As in `fit`: the series with their last steps.

        Raises
        ------
        DataError
            If nothing was measured in the last steps, or as `predict` does.
        """
        check_is_fitted(self, "network_")
        series = self._read(X, times, known, static, reset=False)
        block, horizon = series.block, self.horizon_
        self._check_long_enough(block, self.context_length_ + horizon)
        earlier = with_last(series, horizon)
        cut = earlier.block
        truth = block.values[cut.ends[:, None] + np.arange(horizon)]
        median = self._quantiles_of(earlier, (0.5,))[..., 0]
        error = mean_known(np.abs(truth - median), axis=1)
        past = [cut.values[start:end] for start, end in zip(cut.offsets[:-1], cut.ends, strict=True)]
        scale = np.stack([mase_scale(part, self.season_length_) for part in past])
        known = ~np.isnan(error)
        if not known.any():
            raise DataError(f"nothing was measured in the last {horizon} steps: there is nothing to score.")
        scaled = known & ~np.isnan(scale)
        return -float((error[scaled] / scale[scaled]).mean() if scaled.any() else error[known].mean())

    def backtest(
        self,
        X: Any,
        folds: int = 5,
        horizon: int | None = None,
        *,
        times: Any = None,
        known: Any = None,
        static: Any = None,
        refit: bool = True,
    ) -> Backtest:
        """Forecast the last parts of the series from what came before each, and compare with simple forecasts.

        The origin rolls: with `folds` of `horizon` steps, the first forecast begins that many horizons before the end.
        For each a fresh copy of this estimator is fitted on what lies before; this one stays as it is.

        Parameters
        ----------
        X, times, known, static
            As in `fit`.
        folds : int
            Origins.
        horizon : int, optional
            Steps to forecast from each, by default those of the estimator.
        refit : bool
            Fit for every origin; or only for the first, and forecast from the others with that.

        Returns
        -------
        Backtest
            MASE, pinball loss and coverage of the model, of seasonal-naive and of the last value, for each fold.

        Examples
        --------
        >>> import numpy as np
        >>> X = [np.sin(2 * np.pi * np.arange(72) / 6)]
        >>> result = LSTMForecaster(6, hidden_size=4, max_epochs=2, random_state=0).backtest(X, folds=2)
        >>> result.mase.shape
        (3, 2)
        """
        check_forecaster(self.get_params(deep=False))
        columns, times = unwrap_frame(X, times)
        as_sequences(columns, allow_missing=True)
        series = read_series(value_rows(columns), times=times, known=known, static=static)
        refuse_unseen(series.block)
        return backtest(self, series, folds=folds, horizon=horizon, refit=refit)

    def plot_forecast(
        self,
        X: Any = None,
        horizon: int | None = None,
        *,
        times: Any = None,
        known: Any = None,
        static: Any = None,
        series: int = 0,
        channel: int = 0,
        axes: Any = None,
    ) -> Any:
        """Draw the past of a series, the median forecast and the quantiles as nested bands.

        Parameters
        ----------
        X, horizon, times, known, static
            As in `predict`.
        series, channel : int
            Which one to draw.
        axes : matplotlib axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        The axes.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.
        """
        check_is_fitted(self, "network_")
        quantiles, read = self._forecast(X, horizon, times, known, static, self._fitted_levels)
        block = read.block
        begin, end, stop = block.offsets[series] + (X is None), block.ends[series], block.offsets[series + 1]
        first = self._tail_lengths[series] - (end - begin) if X is None else 0
        at = first + np.arange(stop - begin) if read.times is None else read.times[begin:stop]
        shown = quantiles[series] if quantiles.ndim == 3 else quantiles[series, :, channel]
        past = block.values[begin:end, channel]
        return fan_chart(at[: end - begin], past, at[end - begin :], shown, self._fitted_levels, axes=axes)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = False
        return tags
