"""Tasks: a network, its loss, and how to read its output; one file for each thing people ask of sequences."""

from longspan.tasks.classify import Classification
from longspan.tasks.network import CELLS, NetworkConfig, SequenceNetwork, count_parameters
from longspan.tasks.regress import Regression
from longspan.tasks.task import Task

__all__ = [
    "CELLS",
    "Classification",
    "NetworkConfig",
    "Regression",
    "SequenceNetwork",
    "Task",
    "count_parameters",
]
