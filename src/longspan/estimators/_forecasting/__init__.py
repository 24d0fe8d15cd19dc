"""What `LSTMForecaster` is made of: reading series, a linear start, training, rolling on, calibrating, backtests."""
