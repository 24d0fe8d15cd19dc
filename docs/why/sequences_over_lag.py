"""Draw how many sequences each cell needs over lag, from the published runs; run when the documentation is built."""

import json
import math
import re
import statistics
from pathlib import Path

import matplotlib.pyplot as plt

RESULTS = Path("../../benchmarks/results/hochreiter1997.json")  # pages are drawn from the folder of the page
CELLS = {
    "lstm": ("LSTM", "#0072B2", "o", 1.0),
    "gru": ("GRU", "#009E73", "s", 0.97),
    "rnn": ("RNN", "#D55E00", "^", 1.03),
    "feedforward": ("feed-forward, 16 steps", "#CC79A7", "D", 1.06),
}

read = json.loads(RESULTS.read_text("utf-8"))
seen: dict[str, dict[int, list[float]]] = {cell: {} for cell in CELLS}
for run in read["runs"]:
    if match := re.fullmatch(r"modern: 6a(?:, T=(\d+))?: (\w+)", run["key"]):
        sequences = run["sequences"] if run["solved"] else math.inf
        seen[match[2]].setdefault(int(match[1] or 100), []).append(sequences)
limit = read["settings"]["modern: 6a: lstm"]["limit"]

figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
for cell, (name, colour, marker, aside) in CELLS.items():
    lags = sorted(seen[cell])
    middle = [statistics.median(seen[cell][lag]) for lag in lags]
    line = [value if value < math.inf else math.nan for value in middle]
    at = [lag * aside for lag in lags]
    axes.plot(at, line, color=colour, marker=marker, linewidth=1.8, label=name)
    for place, lag, value in zip(at, lags, middle, strict=True):
        solved = [each for each in seen[cell][lag] if each < math.inf]
        if value < math.inf:
            axes.plot([place, place], [min(solved), max(solved)], color=colour, linewidth=1, alpha=0.6)
        else:
            axes.plot(place, limit * 1.35, color=colour, marker=marker, fillstyle="none", linestyle="none")
axes.axhline(limit, color="#767676", linewidth=0.8, linestyle=":")
where = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "top"}
axes.text(0.99, limit * 0.95, "the limit; failures are above it", color="#767676", fontsize="small", **where)
lags = sorted({lag for each in seen.values() for lag in each})
axes.set(xscale="log", yscale="log", xlabel="length of the shortest sequence, steps", ylabel="sequences to success")
axes.set_xticks(lags, [str(lag) for lag in lags])
axes.set_yticks([3_000, 10_000, 30_000], ["3,000", "10,000", "30,000"])
axes.minorticks_off()
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False, fontsize="small", loc="lower right")
