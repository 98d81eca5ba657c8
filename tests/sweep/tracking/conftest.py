"""Fixtures of the store tests, for tests of MLflow."""

from ..store.conftest import plan, run, server, store, trained

__all__ = ["plan", "run", "server", "store", "trained"]
