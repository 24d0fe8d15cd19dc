"""Benchmarks: one file for each question that a number answers. Run one with ``python -m benchmarks.NAME``."""
