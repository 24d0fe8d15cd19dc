"""Data sets that ship with the package."""

from longspan.data.datasets.airline_passengers import MonthlyData, load_airline_passengers
from longspan.data.datasets.japanese_vowels import SpeakerData, load_japanese_vowels

__all__ = ["MonthlyData", "SpeakerData", "load_airline_passengers", "load_japanese_vowels"]
