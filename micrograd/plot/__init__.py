"""Pictures of training runs and of gradients on their way back. Needs matplotlib, once called."""

from micrograd.plot.curves import check, training_curves
from micrograd.plot.flow import gradient_flow, monitored_flow
from micrograd.plot.scaling import scaling

__all__ = ["check", "gradient_flow", "monitored_flow", "scaling", "training_curves"]
