"""Tasks: a network, its loss, and how to read its output; one file for each thing people ask of sequences."""

from longspan.tasks.autoencoder import Autoencoder, AutoencoderConfig, count_autoencoder_parameters
from longspan.tasks.classify import Classification
from longspan.tasks.decode import Decoding
from longspan.tasks.decoder_network import SOURCES, TARGETS, DecoderConfig, SequenceDecoder, count_decoder_parameters
from longspan.tasks.forecast import ForecasterConfig, Forecasting, ForecastNetwork
from longspan.tasks.network import CELLS, NetworkConfig, SequenceNetwork, check_cell_options, count_parameters
from longspan.tasks.reconstruct import Reconstruction
from longspan.tasks.regress import Regression
from longspan.tasks.residuals import Residuals
from longspan.tasks.task import Task

__all__ = [
    "CELLS",
    "SOURCES",
    "TARGETS",
    "Autoencoder",
    "AutoencoderConfig",
    "Classification",
    "DecoderConfig",
    "Decoding",
    "ForecastNetwork",
    "ForecasterConfig",
    "Forecasting",
    "NetworkConfig",
    "Reconstruction",
    "Regression",
    "Residuals",
    "SequenceDecoder",
    "SequenceNetwork",
    "Task",
    "check_cell_options",
    "count_autoencoder_parameters",
    "count_decoder_parameters",
    "count_parameters",
]
