"""Draw the last year of the airline passengers, forecast from the years before; run when the pages are built."""

from longspan import LSTMForecaster, load_airline_passengers

passengers = load_airline_passengers()
past, times = passengers.values[:132], passengers.times[:132]
forecaster = LSTMForecaster(12, quantiles=(0.05, 0.25, 0.5, 0.75, 0.95), random_state=0)
forecaster.fit([past], times=[times])
axes = forecaster.plot_forecast([past], times=[times])
came = passengers.times[132:], passengers.values[132:]
axes.plot(*came, color="#2b2b2b", linewidth=1.2, linestyle=":", label="what came")
axes.legend(frameon=False, loc="upper left")
axes.set(xlim=(times[72], passengers.times[-1]), ylim=(200, None), ylabel="passengers, thousands")
