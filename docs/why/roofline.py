"""Draw the roofline of the kernels from the published measurements; run when the documentation is built."""

from benchmarks.kernels import picture

picture.draw(picture.results())
