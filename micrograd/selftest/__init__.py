"""Random networks beside PyTorch: `micrograd selftest --networks 200`."""

from micrograd.selftest.run import Report, selftest

__all__ = ["Report", "selftest"]
