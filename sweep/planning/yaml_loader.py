"""Strict YAML loader: scalars of YAML 1.2, no duplicate keys, and a limit on the size that aliases can expand to."""

import re
import sys
from typing import Any

import yaml

Place = tuple[str | int, ...]
"""Path to a value in a file: keys and list indices."""
LARGEST = 1_000_000
"""Largest number of values in a file, with those that aliases repeat."""
INVISIBLE = {
    "\t": "a tab; YAML is indented with spaces",
    "\u00a0": "a non-breaking space (U+00A0), as copied from web pages",
    "\u2007": "a figure space (U+2007)",
    "\u202f": "a narrow non-breaking space (U+202F)",
    "\u3000": "an ideographic space (U+3000)",
    "\u200b": "a zero-width space (U+200B)",
    "\ufeff": "a byte order mark (U+FEFF)",
    "\u201c": "a typographic quote (U+201C)",
    "\u201d": "a typographic quote (U+201D)",
    "\u2018": "a typographic quote (U+2018)",
    "\u2019": "a typographic quote (U+2019)",
}
"""Characters that look like others, with their names."""
_MISTAKEN = re.compile(f"[{''.join(INVISIBLE)}]")
_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "merge": ("<<", "<"),
}
"""Pattern of each type of plain scalar in YAML 1.2, with the characters that it can begin with; the rest is text.

The key `<<` is of YAML 1.1; it is kept for anchors.
"""


class Loader(yaml.SafeLoader):
    """YAML loader for safe types."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 (PyYAML declares it like this)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return the value of a node. Raises `MarkedYAMLError` with the line for an invalid or too large one."""
        try:
            value = super().construct_object(node, deep)
        except (TypeError, ValueError, LookupError, AttributeError) as error:  # errors of PyYAML without a line
            raise mistake(f"{node.value!r:.60} is not a valid {node.tag.rpartition(':')[2]}", node) from error
        if isinstance(value, int) and abs(value) > sys.float_info.max:
            limit = f"maximum absolute value {sys.float_info.max:.2g}"
            raise mistake(f"{node.value!r:.60} is too large ({limit})", node)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping. Raises `MarkedYAMLError` for a duplicate key, or a key that is a list or a mapping."""
        seen: dict[Any, int] = {}
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key_node.tag == f"{_TAG}merge":
                continue
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str | int | float | None):
                raise mistake(f"the key {key!r:.60} is not text; write it in quotes", key_node)
            if key in seen:
                raise mistake(f"duplicate key {key!r} in lines {seen[key]} and {line}; remove one", key_node)
            seen[key] = line
        return super().construct_mapping(node, deep)

    def construct_whole_number(self, node: yaml.ScalarNode) -> int:
        """Return an integer, which YAML 1.2 reads as decimal unless it begins with `0o` or `0x`."""
        digits = self.construct_scalar(node)
        return int(digits, {"0o": 8, "0x": 16}.get(digits[:2], 10))


for _name, (_pattern, _first) in _SCALARS.items():
    Loader.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern})$"), list(_first))
Loader.add_constructor(f"{_TAG}int", Loader.construct_whole_number)


def composed(text: str) -> yaml.Node | None:
    """Return the nodes of a document; None if it is empty.

    Raises:
        YAMLError: if the text is not YAML, is larger than `LARGEST`, or has an invisible character outside of quotes.
    """
    try:
        root = Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        _refuse_invisible(text, line)
        raise
    if root is not None:
        _size(root, {})
        _refuse_in_plain_scalars(root, text, set())
    return root


def constructed(root: yaml.Node | None) -> Any:
    """Return the content of a document. Raises `YAMLError` for an invalid value or a duplicate key."""
    return Loader("").construct_document(root) if root is not None else None


def problem_of(error: Exception) -> str:
    """Return the problem of an error of `composed` or `constructed`, in one line."""
    return getattr(error, "problem", None) or str(error).partition("\n")[0]


def dotted(place: Place) -> str:
    """Return a place as text, such as `methods.eed.temperature[1]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


def mistake(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    """Return the error for a node."""
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return the number of values of a node, in which each alias counts as what it repeats."""
    if id(node) not in known:
        known[id(node)] = 1  # an alias of its own part is refused later, when it is written as JSON
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        inside = (one for part in parts for one in (part if isinstance(part, tuple) else (part,)))
        known[id(node)] = 1 + sum(_size(one, known) for one in inside)
        if known[id(node)] > LARGEST:
            raise mistake(f"its aliases (*) repeat more than {LARGEST:,} values; write fewer", node)
    return known[id(node)]


def _refuse_in_plain_scalars(node: yaml.Node, text: str, seen: set[int]) -> None:
    """Raise `YAMLError` for an unquoted scalar with an invisible character or a typographic quote."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        if node.style is None and (found := _MISTAKEN.search(node.value)):
            before = text[node.start_mark.index : text.index(found[0], node.start_mark.index)]
            raise _character(found[0], node.start_mark.line + before.count("\n"))
        return
    for part in node.value:
        for one in part if isinstance(part, tuple) else (part,):
            _refuse_in_plain_scalars(one, text, seen)


def _refuse_invisible(text: str, line: int) -> None:
    """Raise `YAMLError` if a line on which the parser failed, or the one before, has such a character."""
    lines = text.splitlines()
    for number in (line, line - 1):
        if 0 <= number < len(lines) and (found := _MISTAKEN.search(lines[number].partition("#")[0])):
            raise _character(found[0], number)


def _character(character: str, line: int) -> yaml.MarkedYAMLError:
    problem = f"it has {INVISIBLE[character]}; replace it"
    return yaml.MarkedYAMLError(problem=problem, problem_mark=yaml.Mark("", 0, line, 0, None, 0))
