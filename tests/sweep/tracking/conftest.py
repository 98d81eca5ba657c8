"""Trials in a store, which MLflow is to have."""

from ..store.conftest import plan, run, server, store, trained

__all__ = ["plan", "run", "server", "store", "trained"]
