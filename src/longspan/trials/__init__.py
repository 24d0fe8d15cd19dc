"""Trials: a network learns a generated problem until it solves it."""

from longspan.trials.examination import Examination
from longspan.trials.guessing import Guess, guess_weights
from longspan.trials.settings import TrialSettings
from longspan.trials.trial import Outcome, Progress, make_network, run_trial

__all__ = ["Examination", "Guess", "Outcome", "Progress", "TrialSettings", "guess_weights", "make_network", "run_trial"]
