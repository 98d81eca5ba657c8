"""Descriptions of fields: the strings below them in the source of a class."""

import ast
import functools
import inspect
import textwrap
from collections.abc import Mapping


@functools.cache
def field_texts(kind: type) -> Mapping[str, str]:
    """Return the first paragraph of each described field of a class, by name; inherited fields are included."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if one is not object:
            found |= _own(one)
    return found


def _own(kind: type) -> dict[str, str]:
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    except (OSError, TypeError, SyntaxError, ValueError):  # a class without source
        return {}
    if not isinstance(tree, ast.ClassDef):
        return {}
    found = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            constant = text.value
            if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
                found[field.target.id] = " ".join(inspect.cleandoc(constant.value).partition("\n\n")[0].split())
    return found
