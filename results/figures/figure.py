"""Figure with its caption, and its files."""

import io
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from matplotlib.figure import Figure as Drawing

from .style import MARGIN, styled

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
_LEFT_OUT = ("metadata", "style")
"""Elements removed from SVG: external links, and a style rule that would apply to the whole page."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Figure for print and for web pages; equal numbers give equal bytes."""

    name: str
    """Stem of the file names: letters, digits, `-` and `_`; unique within a sweep."""
    title: str
    """Title without a full stop; not part of the drawing."""
    sentences: tuple[str, ...]
    """Sentences of the caption: a short one on the quantity, then seeds, interval, protocol."""
    drawing: Drawing = field(repr=False, compare=False)
    """Matplotlib figure, for custom changes."""

    @property
    def caption(self) -> str:
        """Caption in full sentences."""
        return " ".join(self.sentences)

    def pdf(self) -> bytes:
        """Return the figure as PDF with embedded fonts and searchable text."""
        return self._saved("pdf", {"CreationDate": None, "Title": self.title})

    def png(self) -> bytes:
        """Return the figure as PNG with 300 dots per inch."""
        return self._saved("png", {"Title": self.title})

    def svg(self) -> str:
        """Return the figure as an `svg` element, for a file or for a page with other figures.

        It has no external references, its text is selectable, and its ids begin with the figure's name.
        """
        root = ElementTree.fromstring(self._saved("svg", {"Date": None}))
        for name in _LEFT_OUT:
            for parent in list(root.iter()):
                for element in parent.findall(f"{_SVG}{name}"):
                    parent.remove(element)
        for element in root.iter():
            element.tag = element.tag.removeprefix(_SVG)
            element.attrib = {
                name.removeprefix(_XLINK): self._own(name, value) for name, value in element.attrib.items()
            }
        shape = {name: root.attrib[name] for name in ("width", "height", "viewBox")}
        root.attrib = {
            "xmlns": _SVG.strip("{}"),
            **shape,
            "role": "img",
            "aria-label": self.title,
            "style": "stroke-linejoin: round; stroke-linecap: butt",
        }
        return ElementTree.tostring(root, encoding="unicode")

    def _own(self, name: str, value: str) -> str:
        """Return the value of an attribute with ids prefixed by the figure's name."""
        if name == "id":
            return f"{self.name}-{value}"
        if name.removeprefix(_XLINK) == "href":
            return value.replace("#", f"#{self.name}-", 1)
        return value.replace("url(#", f"url(#{self.name}-")

    def _saved(self, form: str, metadata: dict[str, Any]) -> bytes:
        content = io.BytesIO()
        with styled():
            area = self.drawing.get_tightbbox().padded(MARGIN / 2)
            self.drawing.savefig(content, format=form, metadata=metadata, bbox_inches=area)
        return content.getvalue()
