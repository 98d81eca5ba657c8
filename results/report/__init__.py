"""Report of a sweep as one self-contained HTML page: no network, no server, no other file."""

from .links import experiment_url
from .page import Origin, report

__all__ = ["Origin", "experiment_url", "report"]
