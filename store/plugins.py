"""Copies of plugins beside the sweeps and trials that use them."""

import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from .directory import Directory

PLUGINS = "plugins"
"""Name of the plugin directory, in the directory of a sweep or a trial."""


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A Python file that registers methods, architectures or heads when it runs."""

    name: str
    """File name, such as `my_method.py`."""
    source: str
    """Content of the file."""

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of the file's content, as 64 hexadecimal digits."""
        return hashlib.sha256(self.source.encode()).hexdigest()


def keep_plugins(directory: Directory, plugins: Iterable[Plugin]) -> None:
    """Store exactly these plugins in the directory of a sweep or trial."""
    kept, wanted = directory.inside(PLUGINS), {plugin.name: plugin for plugin in plugins}
    kept.remove(*(kept.entries().keys() - wanted.keys()))
    for name, plugin in wanted.items():
        kept.write(name, plugin.source.encode())


def kept_plugins(directory: Directory) -> tuple[Plugin, ...]:
    """Return the plugins in the directory of a sweep or trial."""
    kept = directory.inside(PLUGINS)
    return tuple(
        Plugin(name=name, source=content.decode(errors="replace"))
        for name in kept.entries()
        if (content := kept.read(name)) is not None
    )
