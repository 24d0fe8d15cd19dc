"""How fast are the native kernels, and how much memory do they need, beside torch, ONNX Runtime and JAX?

``python -m benchmarks.kernels`` measures every case; ``--case NAME`` one, ``--quick`` all of them roughly. A case is
timed only after its results, values and gradients, have agreed with an independent reference in float64; one that does
not is reported, not timed, and makes the exit status 1.

What is compared is called in turn, round by round, so that a machine that slows down slows all of them. Numbers with a
range are the median and the quartiles over rounds; a ratio is taken within each round. The share of the matrix-product
rate is against a large ``torch.mm`` of the same type in the same rounds. A slow peer whose ratio is no goal is called
once, and not again.
"""
