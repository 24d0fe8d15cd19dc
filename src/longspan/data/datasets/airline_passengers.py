"""Airline passengers: 144 months of growing, seasonal numbers."""

from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class MonthlyData(NamedTuple):
    """A monthly series and its months."""

    values: NDArray[np.float64]
    times: NDArray[np.datetime64]


def load_airline_passengers() -> MonthlyData:
    """Load the monthly totals of international airline passengers from January 1949 to December 1960.

    Returns
    -------
    MonthlyData
        ``values``, shape (144,), in thousands of passengers; ``times``, shape (144,), the first day of each month.

    Notes
    -----
    The series "G" of Box and Jenkins, by which forecasts of trend and season have been shown since.

    References
    ----------
    G. E. P. Box, G. M. Jenkins and G. C. Reinsel 1976, "Time Series Analysis, Forecasting and Control", Holden-Day;
    first published by R. G. Brown 1962, "Smoothing, Forecasting and Prediction of Discrete Time Series", Prentice-Hall.

    Examples
    --------
    >>> passengers = load_airline_passengers()
    >>> passengers.values[:3].tolist(), str(passengers.times[-1])[:7]
    ([112.0, 118.0, 132.0], '1960-12')
    """
    text = (files(__package__) / "airline_passengers.csv").read_text("utf-8").split()
    rows = [line.split(",") for line in text[1:]]
    times = np.array([month for month, _ in rows], dtype="datetime64[M]").astype("datetime64[us]")
    return MonthlyData(np.array([float(count) for _, count in rows]), times)
