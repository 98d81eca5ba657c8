"""The file `exeunt.toml` of a working directory, with values of options that commands would otherwise repeat."""

import tomllib
from pathlib import Path
from typing import Any

from ...specs import SpecError, nearest

CONFIG_FILE = "exeunt.toml"
EXAMPLES = {"storage": '"runs"', "tracking": '"http://127.0.0.1:5000"', "data": '"data"', "plugins": '["my_method.py"]'}
"""Keys of the file, each with a valid value in TOML."""
PATHS = ("storage", "data")


def read_config(folder: Path) -> dict[str, Any]:
    """Return the values in `exeunt.toml` in a directory, by name of the parameter of a command; empty without a file.

    `~` is the home directory. Relative paths need no change: they refer to the directory of the file, from which the
    command runs.

    Raises:
        SpecError: for a file that cannot be read or is not TOML, an unknown key, or a value of another type.
    """
    file = folder / CONFIG_FILE
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SpecError(f"{file}: cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{file}: is not UTF-8 text; save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{file}: is not valid TOML: {error}.") from error
    for key, value in content.items():
        _check(file, key, value)
    values = {key: str(Path(value).expanduser()) if _is_path(key, value) else value for key, value in content.items()}
    if "plugins" in values:
        values["plugin"] = [str(Path(plugin).expanduser()) for plugin in values.pop("plugins")]
    return values


def _check(file: Path, key: str, value: object) -> None:
    """Raise `SpecError` for an unknown key, or for a value that is not text or, for plugins, not a list of texts."""
    if key not in EXAMPLES:
        raise SpecError(f"{file}: unknown key {key!r}; {nearest(key, EXAMPLES)}.", field=key)
    listed = value if key == "plugins" else [value]
    if not isinstance(listed, list) or not all(isinstance(text, str) and text for text in listed):
        kind = "a list of file names" if key == "plugins" else "text that is not empty"
        raise SpecError(f"{file}: {key}: must be {kind}, but got {value!r}. Write {key} = {EXAMPLES[key]}.", field=key)


def _is_path(key: str, value: str) -> bool:
    return key in PATHS and "://" not in value
