"""Parts of trials from outside this package, such as methods: from your own files and from installed packages."""

import functools
import importlib.metadata
import linecache
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from ..losses import methods
from ..models import architecture_layout, architectures, heads
from ..specs import Registry, SpecError, masked, nearest, short_hash
from ..specs.process_state import preserved_process_state
from ..specs.text import user_output
from ..specs.user_code import user_modules
from ..store import Plugin
from .augmentation.policy import policies
from .data import datasets
from .data.subsets import subset
from .optimizers import optimizers
from .schedules import schedules

GROUP = "exeunt.plugins"
"""Entry point group with which installed packages declare their plugin modules."""

REGISTRIES: tuple[Registry[Any], ...] = (methods, architectures, heads, datasets, optimizers, schedules, policies)
"""Registries that a plugin can extend."""


class _Entered(NamedTuple):
    """An entry that a plugin has registered."""

    registry: Registry[Any]
    name: str
    entry: Any


_entered: dict[Plugin, list[_Entered]] = {}
"""Entries of each plugin that has run in this process."""
_in_use: list[Plugin] = []
_undone: dict[Plugin, list[str]] = {}
"""Code in each plugin that changed the process when it was imported."""


def read_plugins(paths: Iterable[Path]) -> tuple[Plugin, ...]:
    """Return the plugins in these files, each once. Raise `SpecError` if one is unreadable or a name occurs twice."""
    plugins: dict[str, Plugin] = {}
    for path in paths:
        plugin = _read(path)
        if plugins.setdefault(plugin.name, plugin) != plugin:
            rule = "another plugin has the same file name; rename one of them"
            raise SpecError(f"--plugin {path}: {rule}.", field="plugin")
    return tuple(plugins.values())


def _read(path: Path) -> Plugin:
    """Return the plugin in a file. Raise `SpecError` if its name is invalid or it cannot be read."""
    if not re.fullmatch(r"\w[\w-]*\.py", path.name):
        rule = "the name of a plugin must be letters, digits, '_' or '-' and end with .py, such as my_method.py"
        raise SpecError(f"--plugin {path}: {rule}.", field="plugin")
    try:
        return Plugin(name=path.name, source=path.read_bytes().decode())
    except UnicodeDecodeError as error:
        raise SpecError(f"--plugin {path}: the file is not UTF-8 text; save it as UTF-8.", field="plugin") from error
    except OSError as error:
        beside = [file.name for file in path.parent.glob("*.py") if file.is_file()]
        hint = f"; {nearest(path.name, beside)}" if beside and isinstance(error, FileNotFoundError) else ""
        raise SpecError(f"--plugin {path}: cannot be read: {error.strerror}{hint}.", field="plugin") from error


def use(plugins: Iterable[Plugin] = ()) -> None:
    """Register exactly these plugins, besides this package and installed packages, and unregister all others.

    Raises:
        SpecError: with file and line, if a plugin cannot run, registers nothing, or registers an existing name.
    """
    installed_plugins()
    wanted = list(dict.fromkeys(plugins))
    if wanted == _in_use:
        return
    while _in_use:
        for registry, name, _ in _entered[_in_use.pop()]:
            registry.unregister(name)
    architecture_layout.cache_clear()  # its keys are names that a plugin can register
    subset.cache_clear()
    for plugin in wanted:
        _enter(plugin)
        _in_use.append(plugin)


def plugins_in_use() -> tuple[Plugin, ...]:
    """Return the plugins of the last call of `use`."""
    return tuple(_in_use)


def import_warnings() -> list[str]:
    """Return a warning for each plugin in use that changed the process when it was imported, which was undone."""
    rule = "would change all trials, so it is undone after the plugin is imported"
    return [
        f"--plugin {plugin.name}: {masked('; '.join(code))} {rule}. Move it into the function that needs it."
        for plugin in _in_use
        if (code := _undone[plugin])
    ]


@functools.cache
def installed_plugins() -> tuple[str, ...]:
    """Import the plugin modules of installed packages; return the names and versions of these packages.

    Raises:
        SpecError: if a module cannot be imported.
    """
    packages: set[str] = set()
    for point in importlib.metadata.entry_points(group=GROUP):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else point.name
        try:
            with user_output(), preserved_process_state():
                point.load()
        except (Exception, SystemExit) as error:
            place = f"the entry point {point.name!r} of {package} names {point.value}, which cannot be imported"
            raise SpecError(f"{place}: {_said(error)}", field="plugin") from error
        user_modules.add(point.module.partition(".")[0])
        packages.add(package)
    return tuple(sorted(packages))


def origins(*named: tuple[Registry[Any], str]) -> list[str]:
    """Return the SHA-256 of each plugin in use that registered one of these names."""
    return [
        plugin.sha256 for plugin in _in_use if any((registry, name) in named for registry, name, _ in _entered[plugin])
    ]


def _enter(plugin: Plugin) -> None:
    """Register the entries of a plugin; run it if it has not run yet."""
    before = set(_names())
    try:
        if plugin in _entered:
            for registry, name, entry in _entered[plugin]:
                registry.register(name)(entry)
        else:
            _run(plugin)
    except (Exception, SystemExit) as error:
        _withdraw(before)
        raise SpecError(f"{_place(plugin, error)}: {_said(error)}", field="plugin") from error
    new = [(registry, name) for registry, name in _names() if (registry, name) not in before]
    if not new:
        rule = 'it registers nothing; decorate a method with @method("NAME"), or an architecture with'
        raise SpecError(f'{plugin.name}: {rule} @architectures.register("NAME").', field="plugin")
    _entered[plugin] = [_Entered(registry, name, registry[name]) for registry, name in new]


def _run(plugin: Plugin) -> None:
    """Run a plugin as a separate module, in which pickle finds its classes."""
    module = ModuleType(f"exeunt_plugin_{short_hash(plugin.name + plugin.source)}")
    module.__file__ = plugin.name
    sys.modules[module.__name__] = module
    user_modules.add(module.__name__)
    lines = plugin.source.splitlines(keepends=True)
    linecache.cache[plugin.name] = (len(plugin.source), None, lines, plugin.name)  # for tracebacks without the file
    with user_output(), preserved_process_state() as changed:
        exec(compile(plugin.source, plugin.name, "exec", dont_inherit=True), module.__dict__)
    # A variable that the plugin does not name was set by a library that it imports.
    _undone[plugin] = [code for code in changed if "environ" not in code or code.split("'")[1] in plugin.source]


def _names() -> Iterator[tuple[Registry[Any], str]]:
    return ((registry, name) for registry in REGISTRIES for name in registry)


def _withdraw(kept: set[tuple[Registry[Any], str]]) -> None:
    for registry, name in [*_names()]:
        if (registry, name) not in kept:
            registry.unregister(name)


def _place(plugin: Plugin, error: BaseException) -> str:
    """Return the file name and, if it can be found, the line of the error."""
    if isinstance(error, SyntaxError) and error.filename == plugin.name:
        line = error.lineno
    else:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == plugin.name), None)
    return f"{plugin.name}:{line}" if line else plugin.name


def _said(error: BaseException) -> str:
    if isinstance(error, SpecError):
        return str(error)
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg}."
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}".rstrip(": .") + "."
