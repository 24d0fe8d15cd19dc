"""Copy memory with a lag of 500 steps: what chrono initialisation changes (Tallec and Ollivier 2018, figure 2)."""

from collections.abc import Callable
from typing import Any

import torch

from longspan.problems import Copy
from longspan.trials import Progress, TrialSettings, run_trial

LENGTH = 500
NAME = f"T={LENGTH}"
INITS = ("chrono", "forget_bias")
LIMIT = 24_000


def settings(init: str) -> TrialSettings:
    """How the network is made and trained: equal but for the initialiser."""
    return TrialSettings(hidden_size=128, init=init, batch_size=8, lr=0.01, limit=LIMIT, check_every=800)


def run(init: str, seed: int, tell: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
    """Learn from as many sequences as both inits may, unless the copy is perfect before; report the loss at the end."""
    torch.set_num_threads(1)
    problem = Copy(LENGTH)

    def told(progress: Progress) -> None:
        tell(progress.sequences)

    outcome = run_trial(problem, settings(init), seed=seed, on_progress=told)
    loss = outcome.examination.loss
    return {
        "solved": loss < 0.95 * problem.memoryless_loss,
        "sequences": outcome.sequences,
        "loss": loss,
        "memoryless": problem.memoryless_loss,
        "history": [[each.sequences, round(each.loss, 6)] for each in outcome.history],
    }
