"""fit: epochs over minibatches, what it reports, and when it stops."""

from micrograd.training.callbacks import TrainingState
from micrograd.training.early_stopping import EarlyStopping
from micrograd.training.fit import fit
from micrograd.training.history import History
from micrograd.training.many import fit_many

__all__ = ["EarlyStopping", "History", "TrainingState", "fit", "fit_many"]
