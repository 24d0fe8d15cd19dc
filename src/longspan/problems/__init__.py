"""Generated problems with long time lags: the suite of 1997 and what is usual since, with known lags and baselines."""

from longspan.problems.copying import Copy, VariableCopy
from longspan.problems.digits import MNIST1D, PixelDigits
from longspan.problems.long_lags import Distractors, NoiseFree, Noisy
from longspan.problems.marked_pairs import Adding, Adding1997, Multiplication, Multiplication1997
from longspan.problems.problem import Criterion, Problem, Scores
from longspan.problems.reber import ContinualReber, EmbeddedReber
from longspan.problems.registry import PROBLEMS, make_problem
from longspan.problems.sample import Sample
from longspan.problems.temporal_order import TemporalOrder, TemporalOrder3
from longspan.problems.two_sequence import TwoNoisySequences, TwoSequence, TwoSequenceNoisyTargets

__all__ = [
    "MNIST1D",
    "PROBLEMS",
    "Adding",
    "Adding1997",
    "ContinualReber",
    "Copy",
    "Criterion",
    "Distractors",
    "EmbeddedReber",
    "Multiplication",
    "Multiplication1997",
    "NoiseFree",
    "Noisy",
    "PixelDigits",
    "Problem",
    "Sample",
    "Scores",
    "TemporalOrder",
    "TemporalOrder3",
    "TwoNoisySequences",
    "TwoSequence",
    "TwoSequenceNoisyTargets",
    "VariableCopy",
    "make_problem",
]
