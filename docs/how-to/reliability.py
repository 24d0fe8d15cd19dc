"""Draw how often a classifier is right at each height of its confidence; run when the documentation is built."""

import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay

from longspan import LSTMClassifier, load_japanese_vowels

speakers = load_japanese_vowels()
classifier = LSTMClassifier(hidden_size=8, max_epochs=10, stem=None, calibrate=True, random_state=0)
classifier.fit(speakers.X_train, speakers.y_train)
calibrated = classifier.predict_proba(speakers.X_test)
right = classifier.classes_[calibrated.argmax(axis=1)] == speakers.y_test
# The network's own probabilities, up to a factor a row: the temperature divided their logarithms.
own = calibrated**classifier.temperature_
own /= own.sum(axis=1, keepdims=True)

figure, axes = plt.subplots(figsize=(5, 4.2), layout="constrained")
for name, probabilities, colour in (("network", own, "#c2571a"), ("calibrated", calibrated, "#1b7837")):
    CalibrationDisplay.from_predictions(
        right, probabilities.max(axis=1), n_bins=6, strategy="quantile", name=name, color=colour, ax=axes
    )
axes.set(xlabel="probability of the predicted speaker", ylabel="share that is right", xlim=(0, 1.02), ylim=(0, 1.02))
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False)
