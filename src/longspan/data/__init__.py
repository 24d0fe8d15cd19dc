"""Data on their way into a network: scaling, splitting, batches by length, and data sets that ship with longspan."""

from longspan.data.batches import (
    Batch,
    Batches,
    BatchSource,
    PackedRows,
    PerSequence,
    PerStep,
    Targets,
    pack_rows,
)
from longspan.data.datasets import MonthlyData, SpeakerData, load_airline_passengers, load_japanese_vowels
from longspan.data.merging import merge_duplicates
from longspan.data.missing import indicate_missing
from longspan.data.pairs import PairBatches, Sources, Start, take_sources
from longspan.data.scaling import ChannelScaler
from longspan.data.splitting import number_groups, split_sequences
from longspan.data.streams import StreamBatches

__all__ = [
    "Batch",
    "BatchSource",
    "Batches",
    "ChannelScaler",
    "MonthlyData",
    "PackedRows",
    "PairBatches",
    "PerSequence",
    "PerStep",
    "Sources",
    "SpeakerData",
    "Start",
    "StreamBatches",
    "Targets",
    "indicate_missing",
    "load_airline_passengers",
    "load_japanese_vowels",
    "merge_duplicates",
    "number_groups",
    "pack_rows",
    "split_sequences",
    "take_sources",
]
