"""Draw the rooflines of the kernels from the published measurements; run when the documentation is built."""

from benchmarks.kernels import picture, published

for result in published.read().values():
    picture.draw(result)
