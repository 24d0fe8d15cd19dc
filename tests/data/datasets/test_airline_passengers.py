"""The monthly series that ships with the package."""

import numpy as np

from longspan import load_airline_passengers


def test_there_are_twelve_years_of_months() -> None:
    passengers = load_airline_passengers()
    assert passengers.values.shape == passengers.times.shape == (144,)
    assert passengers.times.dtype == np.dtype("datetime64[us]")
    months = np.arange("1949-01", "1961-01", dtype="datetime64[M]")
    np.testing.assert_array_equal(passengers.times.astype("datetime64[M]"), months)


def test_values_are_the_published_ones() -> None:
    values = load_airline_passengers().values
    assert values[:12].tolist() == [112, 118, 132, 129, 121, 135, 148, 148, 136, 119, 104, 118]
    assert values[-12:].tolist() == [417, 391, 419, 461, 472, 535, 622, 606, 508, 461, 390, 432]
    assert values.sum() == 40363
