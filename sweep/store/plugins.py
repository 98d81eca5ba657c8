"""Copies of plugins beside what they made, so that it is read again without the files that they came from."""

from collections.abc import Iterable

from ...training import Folder
from ...training.plugins import Plugin

FOLDER = "plugins"
"""In the folder of a sweep, and in that of a trial."""


def keep(folder: Folder, plugins: Iterable[Plugin]) -> None:
    """Makes these, and no other, the plugins of the sweep or trial that has this folder."""
    kept, wanted = folder.inside(FOLDER), {plugin.name: plugin for plugin in plugins}
    for name in kept.entries().keys() - wanted.keys():
        kept.remove(name)
    for name, plugin in wanted.items():
        kept.write(name, plugin.source.encode())


def kept(folder: Folder) -> tuple[Plugin, ...]:
    """The plugins of the sweep or trial that has this folder."""
    kept = folder.inside(FOLDER)
    return tuple(
        Plugin(name=name, source=content.decode(errors="replace"))
        for name in kept.entries()
        if (content := kept.read(name)) is not None
    )
