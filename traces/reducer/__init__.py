"""Events of a bundle flow in, the reduced graph of a rollout flows out, exactly as the published client reduces it."""

from traces.bundle.errors import BundleError
from traces.reducer.errors import ReductionError
from traces.reducer.evidence import Evidence
from traces.reducer.graph import SECTIONS, Graph, Section
from traces.reducer.reduction import Changes, Reducer
from traces.reducer.replay import Stopped, reduce_lenient, reduce_strict

__all__ = [
    "SECTIONS",
    "BundleError",
    "Changes",
    "Evidence",
    "Graph",
    "Reducer",
    "ReductionError",
    "Section",
    "Stopped",
    "reduce_lenient",
    "reduce_strict",
]
