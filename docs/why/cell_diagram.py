"""Draw the cell of an LSTM; run when the documentation is built."""

import matplotlib.pyplot as plt
from matplotlib.patches import Circle, FancyBboxPatch

STATE, GATE, LINE = "#3a7ca5", "#c2571a", "#5a5a5a"

figure, axes = plt.subplots(figsize=(7, 3.3), layout="constrained")
axes.set(xlim=(0, 14), ylim=(-0.4, 6.2), aspect="equal")
axes.axis("off")


def arrow(start, end, colour=LINE, width=1.2):
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=style)


def operation(x, y, text, colour=LINE):
    axes.add_patch(Circle((x, y), 0.34, facecolor="white", edgecolor=colour, linewidth=1.2, zorder=3))
    axes.text(x, y, text, ha="center", va="center", zorder=4, color=colour, fontsize=8 if len(text) > 1 else 11)


def gate(x, name, formula, colour=GATE):
    box = FancyBboxPatch((x - 0.95, 1.0), 1.9, 1.0, boxstyle="round,pad=0.05", facecolor="white", edgecolor=colour)
    axes.add_patch(box)
    axes.text(x, 1.68, name, ha="center", va="center", fontsize=8.5, color=colour)
    axes.text(x, 1.27, formula, ha="center", va="center", fontsize=8, color=LINE)
    arrow((x, 0.35), (x, 0.93))


arrow((0.4, 5.2), (13.6, 5.2), STATE, 2.4)
axes.text(0.4, 5.5, "c'", color=STATE, fontsize=11)
axes.text(13.3, 5.5, "c", color=STATE, fontsize=11)
gate(2.4, "forget gate", "f = σ(…)")
gate(5.0, "input gate", "i = σ(…)")
gate(7.6, "cell input", "g = tanh(…)", LINE)
gate(11.0, "output gate", "o = σ(…)")
arrow((2.4, 2.05), (2.4, 4.86))
operation(2.4, 5.2, "×", GATE)
arrow((5.0, 2.05), (5.97, 3.3))
arrow((7.6, 2.05), (6.63, 3.3))
operation(6.3, 3.5, "×", GATE)
arrow((6.3, 3.84), (6.3, 4.86))
operation(6.3, 5.2, "+", STATE)
arrow((12.4, 5.2), (12.4, 4.25))
operation(12.4, 3.9, "tanh")
arrow((12.4, 3.56), (12.4, 3.04))
arrow((11.0, 2.05), (12.06, 2.6))
operation(12.4, 2.7, "×", GATE)
arrow((12.74, 2.7), (13.6, 2.7))
axes.text(13.35, 2.95, "h", fontsize=11, color=LINE)
axes.plot([0.4, 11.0], [0.35, 0.35], color=LINE, linewidth=1.2)
axes.text(0.4, -0.15, "x and h', the last output", fontsize=8.5, color=LINE)
