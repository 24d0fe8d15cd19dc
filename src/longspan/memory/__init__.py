"""Memory span: how far back a network can learn, how far it remembers, and how far it should."""

from longspan.memory.context import context_ablation, lag_occlusion
from longspan.memory.curves import (
    ContextCurve,
    Curves,
    ForgettingCurve,
    GateSaturation,
    LagCurve,
    MemoryCapacity,
    OcclusionCurve,
    TimeConstants,
    WindowCurve,
)
from longspan.memory.gates import gate_saturation, time_constants
from longspan.memory.gradients import gradient_by_lag, input_influence
from longspan.memory.measure import memory_report
from longspan.memory.report import Example, MemoryReport
from longspan.memory.states import forgetting_curve, memory_capacity
from longspan.memory.verdict import VERDICTS

__all__ = [
    "VERDICTS",
    "ContextCurve",
    "Curves",
    "Example",
    "ForgettingCurve",
    "GateSaturation",
    "LagCurve",
    "MemoryCapacity",
    "MemoryReport",
    "OcclusionCurve",
    "TimeConstants",
    "WindowCurve",
    "context_ablation",
    "forgetting_curve",
    "gate_saturation",
    "gradient_by_lag",
    "input_influence",
    "lag_occlusion",
    "memory_capacity",
    "memory_report",
    "time_constants",
]
