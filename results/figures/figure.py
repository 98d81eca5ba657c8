"""A figure with what a paper says below it, and its bytes."""

import io
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from matplotlib.figure import Figure as Drawing

from .style import MARGIN, styled

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
_LEFT_OUT = ("metadata", "style")
"""Of matplotlib's SVG: links to elsewhere, and a rule that would hold for all of the page around the figure."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure, for print and for pages. The same numbers give the same bytes."""

    name: str
    """The stem of its files: letters, digits, `-` and `_`, distinct among the figures of a sweep."""
    title: str
    """What is shown, without a full stop; not part of the drawing."""
    caption: str
    """How to read it: what is drawn, over which seeds, which interval, by which protocol. Whole sentences."""
    drawing: Drawing = field(repr=False, compare=False)
    """Matplotlib's figure, for changes of one's own."""

    def pdf(self) -> bytes:
        """Give the figure as PDF, with fonts inside and text that can be searched."""
        return self._saved("pdf", {"CreationDate": None, "Title": self.title})

    def png(self) -> bytes:
        """Give the figure as PNG of 300 dots per inch."""
        return self._saved("png", {"Title": self.title})

    def svg(self) -> str:
        """Give the figure as an `svg` element, to stand alone or in a page with others.

        It refers to nothing outside, its text is text, and its ids begin with the figure's name.
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
        """An attribute's value in which an id is this figure's own."""
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
