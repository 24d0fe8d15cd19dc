"""Draw what two sequences that differ in one symbol leave in a trained cell; run when the documentation is built."""

import matplotlib.pyplot as plt
import torch

from longspan.problems import TemporalOrder
from longspan.trials import TrialSettings, run_trial

SYMBOLS = "EBabcdXY"
TEXT = "EabcaXdacbdcabadcbaabdcdbaYbdcadabcdabcbdadcaB"
X, Y, GREY = "#3a7ca5", "#c2571a", "#8a8a8a"


def one_hot(text):
    return torch.eye(len(SYMBOLS))[[SYMBOLS.index(symbol) for symbol in text]]


outcome = run_trial(TemporalOrder(length=50), TrialSettings(hidden_size=16, limit=20_000), seed=0)
cell = outcome.network.cell
texts = TEXT, TEXT.replace("X", "Y")
block = torch.stack([one_hot(text) for text in texts], dim=0 if cell.batch_first else 1)
with torch.no_grad():
    trace = cell(block, trace=True)[2][0]
axis = 0 if cell.batch_first else 1
states = {name: getattr(trace, name).unbind(axis) for name in ("c", "i", "f")}
apart = (states["c"][0] - states["c"][1]).abs()[TEXT.index("X") + 3 :]
unit = int(apart.amin(dim=0).argmax())  # that tells the two apart all the way

figure, rows = plt.subplots(3, 1, figsize=(7, 5), sharex=True, layout="constrained", height_ratios=[2, 1, 1])
steps = range(len(TEXT))
for number, (name, colour) in enumerate((("X first", X), ("Y first", Y))):
    rows[0].plot(steps, states["c"][number][:, unit], color=colour, linewidth=1.8)
    end = len(TEXT) - 1, states["c"][number][-1, unit]
    rows[0].annotate(name, end, (6, 0), textcoords="offset points", color=colour, va="center")
    rows[1].plot(steps, states["i"][number][:, unit], color=colour, linewidth=1.2)
    rows[2].plot(steps, states["f"][number][:, unit], color=colour, linewidth=1.2)
for row, title in zip(rows, ("cell state c", "input gate i", "forget gate f"), strict=True):
    row.set_title(title, loc="left", fontsize=10)
    row.spines[["top", "right"]].set_visible(False)
for row in rows[1:]:
    row.set(ylim=(-0.03, 1.03), yticks=[0, 1])
for step in (TEXT.index("X"), TEXT.index("Y")):
    for row in rows:
        row.axvline(step, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
rows[2].set_xticks(list(steps), TEXT, fontsize=7)
rows[2].set_xlabel("what is read (the other sequence has a Y in place of the X)")
