"""Connection test for the address of a cluster or a server."""

import socket
from urllib.parse import urlsplit

PORTS = {"ray": 10001, "http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""Default ports by the scheme of the address; an address without a scheme is that of a Ray cluster."""
RAY_PORT = 6379
CONNECT_TIMEOUT_S = 3.0
"""Time limit for a connection, in seconds."""


def answers(address: str) -> bool:
    """Return True if a process accepts connections at `HOST:PORT` or at the host and port of a URI."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    usual = PORTS.get(parts.scheme.partition("+")[0], RAY_PORT)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or usual), timeout=CONNECT_TIMEOUT_S):
            return True
    except (OSError, ValueError):
        return False
