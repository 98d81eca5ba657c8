"""Copies of plugins beside the sweeps and trials that use them, which can then be read without the original files."""

from collections.abc import Iterable

from ...training import Folder
from ...training.plugins import Plugin

FOLDER = "plugins"
"""Name of the plugin directory, in the directory of a sweep or a trial."""


def keep(folder: Folder, plugins: Iterable[Plugin]) -> None:
    """Store exactly these plugins in the directory of a sweep or trial."""
    kept, wanted = folder.inside(FOLDER), {plugin.name: plugin for plugin in plugins}
    for name in kept.entries().keys() - wanted.keys():
        kept.remove(name)
    for name, plugin in wanted.items():
        kept.write(name, plugin.source.encode())


def kept(folder: Folder) -> tuple[Plugin, ...]:
    """Return the plugins in the directory of a sweep or trial."""
    kept = folder.inside(FOLDER)
    return tuple(
        Plugin(name=name, source=content.decode(errors="replace"))
        for name in kept.entries()
        if (content := kept.read(name)) is not None
    )
