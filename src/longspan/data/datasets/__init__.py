"""Data sets that ship with the package."""

from longspan.data.datasets.japanese_vowels import SpeakerData, load_japanese_vowels

__all__ = ["SpeakerData", "load_japanese_vowels"]
