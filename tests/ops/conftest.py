"""What the tests of the kernels share."""

from collections.abc import Iterator

import pytest
import torch

from longspan.ops import _native


@pytest.fixture(autouse=True)
def threads_and_instructions_are_left_as_they_were() -> Iterator[None]:
    threads, instructions = torch.get_num_threads(), _native.instruction_set()
    yield
    torch.set_num_threads(threads)
    if instructions is not None:
        _native.use(str(instructions))
