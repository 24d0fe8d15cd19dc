"""One recording, and what is given back of it from 16 numbers; for the page `encode-sequences`."""

import matplotlib.pyplot as plt

from longspan import LSTMEncoder, load_japanese_vowels

X_train, _, X_test, _ = load_japanese_vowels()
encoder = LSTMEncoder(16, random_state=0).fit(X_train)
given = encoder.reconstruct(X_test[:1])[0]

figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
for channel, colour in zip((0, 1, 2), ("C0", "C1", "C2"), strict=True):
    axes.plot(X_test[0][:, channel], color=colour, label=f"cepstrum {channel + 1}")
    axes.plot(given[:, channel], color=colour, linestyle="--")
axes.set(xlabel="frame", ylabel="coefficient", title="A test recording (solid) and its reconstruction (dashed)")
axes.legend(frameon=False, ncols=3)
