"""Pictures of training runs, gradients, classifiers and weights, as matplotlib Figures.

One call each; the Figure is returned, never shown by itself: in a notebook it appears as the last
line of a cell, and `.savefig("x.png")` or the argument `path` writes it. Colours are Okabe and
Ito's, names are text even where they hold $ or <. matplotlib is loaded by the first call.
"""

from micrograd.plot.boundary import decision_boundary
from micrograd.plot.classes import calibration, confusion_matrix
from micrograd.plot.curves import training_curves
from micrograd.plot.flow import gradient_flow, monitored_flow
from micrograd.plot.scaling import scaling
from micrograd.plot.style import check
from micrograd.plot.weight_images import weights

__all__ = [
    "calibration",
    "check",
    "confusion_matrix",
    "decision_boundary",
    "gradient_flow",
    "monitored_flow",
    "scaling",
    "training_curves",
    "weights",
]
