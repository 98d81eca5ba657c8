import importlib.metadata


def _installed() -> str:
    try:
        return importlib.metadata.version("exeunt")
    except importlib.metadata.PackageNotFoundError:  # a checkout that is on the path, but not installed
        return ""


__version__ = _installed()
"""Version of the installed package; empty if it is not installed."""
