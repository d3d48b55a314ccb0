"""Model files: safetensors, written atomically, read with distrust."""

from micrograd.saving.read import load, load_members
from micrograd.saving.write import save, save_members

__all__ = ["load", "load_members", "save", "save_members"]
