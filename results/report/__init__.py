"""Report of a sweep as one self-contained HTML page: no network, no server, no other file."""

from .links import experiment_url, without_password
from .page import Origin, report

__all__ = ["Origin", "experiment_url", "report", "without_password"]
