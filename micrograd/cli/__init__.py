"""The `micrograd` command: `main`, and a module for each subcommand."""

from micrograd.cli.main import main

__all__ = ["main"]
