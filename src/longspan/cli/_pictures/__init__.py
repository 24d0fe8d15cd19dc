"""Pictures: one file for each kind, and one look for all."""

from longspan.cli._pictures._attention import attention
from longspan.cli._pictures._fans import fans
from longspan.cli._pictures._latents import latent_map
from longspan.cli._pictures._learning import draw_losses, learning_curve
from longspan.cli._pictures._look import COLOURS, FAINT, INK, LINE, NAMES, give_pictures, new_figure, save_pictures
from longspan.cli._pictures._predictions import comparison, confusion, draw_confusion, predicted_against_true
from longspan.cli._pictures._reconstructions import reconstructions
from longspan.cli._pictures._trials import trials

__all__ = [
    "COLOURS",
    "FAINT",
    "INK",
    "LINE",
    "NAMES",
    "attention",
    "comparison",
    "confusion",
    "draw_confusion",
    "draw_losses",
    "fans",
    "give_pictures",
    "latent_map",
    "learning_curve",
    "new_figure",
    "predicted_against_true",
    "reconstructions",
    "save_pictures",
    "trials",
]
