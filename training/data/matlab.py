"""Reader of MATLAB files, the format of SVHN; it replaces scipy, which training does not depend on."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MATRIX, COMPRESSED = 14, 15
NUMBERS = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
"""NumPy data type of each numeric element type."""


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the numeric arrays in a little-endian level-5 file, by name.

    The format is MathWorks' "MAT-File Format", chapter 1: a header of 128 bytes, then elements. A file may store an
    array of doubles as integers; the result then has that integer type.
    """
    arrays = {}
    for kind, data in _elements(memoryview(path.read_bytes())[128:]):
        if kind == COMPRESSED:
            [(kind, data)] = _elements(memoryview(zlib.decompress(data)))  # noqa: PLW2901
        if kind == MATRIX:
            _flags, (_, shape), (_, name), (stored, values), *_ = _elements(data)
            numbers = np.frombuffer(values, dtype=NUMBERS[stored])
            arrays[bytes(name).decode()] = numbers.reshape(np.frombuffer(shape, dtype="<i4"), order="F")
    return arrays


def _elements(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Iterate over the type and the content of consecutive elements."""
    place = 0
    while place < len(data):
        kind, size = struct.unpack_from("<II", data, place)
        if kind >> 16:  # a small element: its tag also contains its 1 to 4 bytes of data
            yield kind & 0xFFFF, data[place + 4 : place + 4 + (kind >> 16)]
            place += 8
        else:
            yield kind, data[place + 8 : place + 8 + size]
            place += 8 + (size if kind == COMPRESSED else -(-size // 8) * 8)
