"""Model files: safetensors, written atomically, read with distrust."""

from micrograd.saving.read import load
from micrograd.saving.write import save

__all__ = ["load", "save"]
