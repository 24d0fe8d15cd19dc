"""Draw how the gradient decays over lag in fresh networks; run when the documentation is built."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from longspan.memory import gradient_by_lag
from longspan.nn import LSTM, RNN

LAG = 200
COLOURS = {"rnn": "#c2571a", "lstm": "#8a8a8a", "lstm, forget bias 1": "#3a7ca5", "lstm, chrono": "#1b7837"}

torch.manual_seed(0)
double = {"dtype": torch.float64}
networks = {
    "rnn": RNN(4, 64, **double),
    "lstm": LSTM(4, 64, **double),
    "lstm, forget bias 1": LSTM(4, 64, init="forget_bias", **double),
    "lstm, chrono": LSTM(4, 64, init="chrono", max_lag=LAG, **double),
}

inputs = np.random.default_rng(0).normal(size=(16, LAG + 1, 4))

figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
for name, network in networks.items():
    curve = gradient_by_lag(network, inputs, n_anchors=16, random_state=0)
    axes.plot(curve.lags, curve.median, label=name, color=COLOURS[name], linewidth=1.8)
axes.axhline(0.01, color="#b0b0b0", linewidth=0.8, linestyle="--", zorder=0)
axes.set(yscale="log", xlabel="lag k (steps back)", ylabel="gradient, lag 0 = 1", xlim=(0, LAG), ylim=(1e-20, 10))
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False)
