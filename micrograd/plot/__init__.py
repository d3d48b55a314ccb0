"""Pictures of training runs and of gradients on their way back. Needs matplotlib, once called."""

from micrograd.plot.curves import check, training_curves
from micrograd.plot.flow import gradient_flow, monitored_flow

__all__ = ["check", "gradient_flow", "monitored_flow", "training_curves"]
