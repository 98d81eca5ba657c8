"""Image operations of AutoAugment and TrivialAugment, on whole batches with one magnitude per image.

The results equal those of `torchvision.transforms.functional` on a single uint8 tensor. Sums, blurring and geometry use
integers, so all devices give equal results.
"""

from collections.abc import Callable
from enum import IntEnum

import torch
from torch import Tensor

from ..transfer import to_device


class Operation(IntEnum):
    """Image operations of a policy; the unit of the magnitude is in brackets."""

    IDENTITY = 0
    SHEAR_X = 1
    """Horizontal shear (columns per row)."""
    SHEAR_Y = 2
    """Vertical shear (rows per column)."""
    TRANSLATE_X = 3
    """Shift to the right (pixels, truncated to an integer)."""
    TRANSLATE_Y = 4
    """Shift downwards (pixels, truncated to an integer)."""
    ROTATE = 5
    """Counter-clockwise rotation around the centre (degrees)."""
    BRIGHTNESS = 6
    """Extrapolation away from black (-1: black, 0: unchanged)."""
    COLOR = 7
    """Extrapolation away from the grey image (-1: grey, 0: unchanged)."""
    CONTRAST = 8
    """Extrapolation away from the mean grey (-1: mean grey, 0: unchanged)."""
    SHARPNESS = 9
    """Extrapolation away from the blurred image (-1: blurred, 0: unchanged)."""
    POSTERIZE = 10
    """Reduction to the most significant bits (number of bits, 1 to 8)."""
    SOLARIZE = 11
    """Inversion of pixels at or above a threshold (0 to 255)."""
    AUTOCONTRAST = 12
    EQUALIZE = 13
    INVERT = 14


BITS = 16  # fractional bits of a fixed-point coordinate


def perform(pixels: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Apply one operation to each image; pixels that are moved in from outside are black.

    Args:
        pixels: (N, C, H, W) uint8 with C = 1 or 3.
        operations: (N,) int64 on the CPU, `Operation` numbers.
        magnitudes: (N,) float32 on the CPU.

    Returns:
        (N, C, H, W) uint8 on the device of the pixels.
    """
    order = operations.argsort(stable=True)
    back = order.argsort()
    operations, magnitudes = operations[order], magnitudes[order]
    sizes = operations.bincount(minlength=len(Operation)).tolist()
    kept, moved = sizes[0], sum(sizes[1 : Operation.ROTATE + 1])
    sizes = [kept, moved, *sizes[Operation.ROTATE + 1 :]]

    matrices = _matrices(operations[kept : kept + moved], magnitudes[kept : kept + moved], *pixels.shape[2:])
    order, back, magnitudes, matrices = to_device([order, back, magnitudes, matrices], pixels.device)
    strengths = magnitudes[:, None, None, None].split(sizes)
    unchanged, to_move, *others = pixels.index_select(0, order).split(sizes)
    groups = [unchanged, _moved(to_move, matrices)]
    for function, group, strength in zip(_POINTWISE, others, strengths[2:], strict=True):
        groups.append(function(group, strength) if len(group) else group)
    return torch.cat(groups).index_select(0, back)


def _matrices(operations: Tensor, magnitudes: Tensor, height: int, width: int) -> Tensor:
    """Return the affine maps from pixels to their source coordinates: (N, 6) int32, in units of 2**-16 pixels.

    A row a, b, c, d, e, f maps column x and row y to source column ax + by + c and source row dx + ey + f. The first
    pixel covers 0 to 1.
    """

    def only(operation: Operation) -> Tensor:
        return torch.where(operations == operation, magnitudes.double(), 0.0)

    angle = only(Operation.ROTATE).deg2rad()
    sine, cosine = angle.sin(), angle.cos()
    from_column = torch.stack([cosine, only(Operation.SHEAR_X) - sine], 1)
    from_row = torch.stack([only(Operation.SHEAR_Y) + sine, cosine], 1)
    middle = torch.tensor([width / 2, height / 2], dtype=torch.float64)
    pixel = torch.full((2,), 0.5, dtype=torch.float64)  # a pixel's coordinate is its centre
    around = pixel - middle
    column = from_column @ around + middle[0] - only(Operation.TRANSLATE_X).trunc()
    row = from_row @ around + middle[1] - only(Operation.TRANSLATE_Y).trunc()
    # A shear fixes the corner, as in AutoAugment's code; a rotation fixes the centre.
    column += only(Operation.SHEAR_X) * middle[1]
    row += only(Operation.SHEAR_Y) * middle[0]
    matrices = torch.cat([from_column, column[:, None], from_row, row[:, None]], 1)
    return (matrices * 2**BITS).round().int()


def _moved(pixels: Tensor, matrices: Tensor) -> Tensor:
    """Return the images sampled at their nearest source pixels, in one gather."""
    _, channels, height, width = pixels.shape
    a, b, c, d, e, f = matrices[:, :, None, None].unbind(1)
    x = torch.arange(width, dtype=torch.int32, device=pixels.device)
    y = torch.arange(height, dtype=torch.int32, device=pixels.device)[:, None]
    columns, rows = (a * x + b * y + c) >> BITS, (d * x + e * y + f) >> BITS
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    places = torch.where(inside, rows * width + columns, 0).long().flatten(1)[:, None].expand(-1, channels, -1)
    return pixels.flatten(2).gather(2, places).view(pixels.shape).mul_(inside[:, None])


def _blend(pixels: Tensor, degenerate: Tensor, magnitudes: Tensor) -> Tensor:
    return ((1 + magnitudes) * pixels - magnitudes * degenerate).clamp_(0, 255).to(torch.uint8)


def _grey(pixels: Tensor) -> Tensor:
    """Return the grey images (N, 1, H, W) uint8."""
    if pixels.shape[1] == 1:
        return pixels
    red, green, blue = pixels.split(1, 1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).to(torch.uint8)


def _brightness(pixels: Tensor, magnitudes: Tensor) -> Tensor:
    return ((1 + magnitudes) * pixels).clamp_(0, 255).to(torch.uint8)


def _color(pixels: Tensor, magnitudes: Tensor) -> Tensor:
    return pixels if pixels.shape[1] == 1 else _blend(pixels, _grey(pixels), magnitudes)


def _contrast(pixels: Tensor, magnitudes: Tensor) -> Tensor:
    mean = _grey(pixels).sum((1, 2, 3), keepdim=True) / pixels[0, 0].numel()
    return _blend(pixels, mean, magnitudes)


def _sharpness(pixels: Tensor, magnitudes: Tensor) -> Tensor:
    if min(pixels.shape[2:]) <= 2:
        return pixels
    values = pixels.int()
    rows = values[:, :, :-2] + values[:, :, 1:-1] + values[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * values[:, :, 1:-1, 1:-1]
    blurred = values.clone()
    blurred[:, :, 1:-1, 1:-1] = (2 * total + 13) // 26  # total / 13, rounded
    return _blend(pixels, blurred, magnitudes)


def _posterize(pixels: Tensor, magnitudes: Tensor) -> Tensor:
    dropped = (8 - magnitudes).to(torch.uint8)
    return (pixels >> dropped) << dropped


def _solarize(pixels: Tensor, magnitudes: Tensor) -> Tensor:
    return torch.where(pixels >= magnitudes, 255 - pixels, pixels)


def _autocontrast(pixels: Tensor, _: Tensor) -> Tensor:
    darkest, brightest = pixels.amin((2, 3), keepdim=True), pixels.amax((2, 3), keepdim=True)
    stretched = (pixels - darkest) * (255 / (brightest - darkest))
    return torch.where(brightest > darkest, stretched.clamp_(0, 255).to(torch.uint8), pixels)


def _equalize(pixels: Tensor, _: Tensor) -> Tensor:
    values = pixels.flatten(2).long()
    histogram = values.new_zeros(*values.shape[:2], 256).scatter_add_(2, values, torch.ones_like(values))
    darker = histogram.cumsum(2) - histogram
    step = darker.gather(2, values.amax(2, keepdim=True)) // 255
    equal = ((darker + step // 2) // step.clamp(min=1)).clamp(max=255)
    table = torch.where(step > 0, equal, torch.arange(256, device=pixels.device))
    return table.gather(2, values).to(torch.uint8).view(pixels.shape)


def _invert(pixels: Tensor, _: Tensor) -> Tensor:
    return 255 - pixels


_POINTWISE: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    _brightness,
    _color,
    _contrast,
    _sharpness,
    _posterize,
    _solarize,
    _autocontrast,
    _equalize,
    _invert,
)
"""Functions of the operations from `BRIGHTNESS` on, in the order of `Operation`."""
