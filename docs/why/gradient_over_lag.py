"""Draw how the gradient decays over lag in fresh networks; run when the documentation is built."""

import matplotlib.pyplot as plt
import torch

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

figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
for name, network in networks.items():
    x = torch.randn(LAG + 1, 16, 4, dtype=torch.float64, requires_grad=True)
    last = network(x)[0][-1]
    (gradient,) = torch.autograd.grad(last, x, torch.randn_like(last))
    norms = gradient.flatten(1).norm(dim=1).flip(0)
    axes.plot(norms / norms[0], label=name, color=COLOURS[name], linewidth=1.8)
axes.set(yscale="log", xlabel="steps back", ylabel="gradient, last input = 1", xlim=(0, LAG), ylim=(1e-20, 10))
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False)
