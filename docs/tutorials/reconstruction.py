"""One recording, and what is given back of it from 16 numbers; for the page `encode-sequences`."""

import matplotlib.pyplot as plt

from longspan import LSTMEncoder, load_japanese_vowels

X_train, _, X_test, _ = load_japanese_vowels()
encoder = LSTMEncoder(16, random_state=0).fit(X_train)
given = encoder.reconstruct(X_test[:1])[0]

figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
last = len(given) - 1
for channel, colour in zip((0, 1, 2), ("#2166ac", "#c2571a", "#1b7837"), strict=True):
    axes.plot(X_test[0][:, channel], color=colour)
    axes.plot(given[:, channel], color=colour, linestyle="--")
    height = (X_test[0][last, channel] + given[last, channel]) / 2
    axes.text(last + 0.4, height, f"channel {channel + 1}", color=colour, va="center")
axes.set(xlabel="frame", ylabel="coefficient", title="A test recording (solid) and its reconstruction (dashed)")
axes.set_xticks(range(0, last + 1, 3))
axes.spines[["top", "right"]].set_visible(False)
