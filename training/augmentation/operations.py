"""The image operations of AutoAugment and TrivialAugment, on whole batches and each image with its own magnitude.

What they compute is what `torchvision.transforms.functional` does to one uint8 tensor. Sums, blurring and geometry are
in integers, so that every device gives the same.
"""

from collections.abc import Callable
from enum import IntEnum

import torch
from torch import Tensor


class Operation(IntEnum):
    """What a policy can do to an image; in brackets, what the magnitude is."""

    IDENTITY = 0
    SHEAR_X = 1
    """(Columns per row.)"""
    SHEAR_Y = 2
    """(Rows per column.)"""
    TRANSLATE_X = 3
    """To the right (pixels, of which whole ones count)."""
    TRANSLATE_Y = 4
    """Downwards (pixels, of which whole ones count)."""
    ROTATE = 5
    """Counter-clockwise around the middle (degrees)."""
    BRIGHTNESS = 6
    """Away from black (-1: black, 0: as it was)."""
    COLOR = 7
    """Away from the grey image (-1: grey, 0: as it was)."""
    CONTRAST = 8
    """Away from the mean grey (-1: that grey, 0: as it was)."""
    SHARPNESS = 9
    """Away from the blurred image (-1: blurred, 0: as it was)."""
    POSTERIZE = 10
    """(The bits that are kept, 1 to 8.)"""
    SOLARIZE = 11
    """Inverts what is as bright or brighter (0 to 255)."""
    AUTOCONTRAST = 12
    EQUALIZE = 13
    INVERT = 14


BITS = 16  # of the fraction of a coordinate


def perform(pixels: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Does to each image what is asked for; what is moved in from outside is black.

    Args:
        pixels: (N, C, H, W) uint8 with C = 1 or 3.
        operations: (N,) int64 on the CPU, numbers of `Operation`s.
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
    order, back = on_device(torch.stack([order, back]), pixels.device)
    strengths = on_device(magnitudes[:, None, None, None], pixels.device).split(sizes)
    unchanged, to_move, *others = pixels.index_select(0, order).split(sizes)
    groups = [unchanged, _moved(to_move, on_device(matrices, pixels.device))]
    for function, group, strength in zip(_POINTWISE, others, strengths[2:], strict=True):
        groups.append(function(group, strength) if len(group) else group)
    return torch.cat(groups).index_select(0, back)


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copies a CPU tensor to the device that computes, without waiting for it."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _matrices(operations: Tensor, magnitudes: Tensor, height: int, width: int) -> Tensor:
    """(N, 6) int32, in units of 2**-16 pixels: a, b, c and d, e, f of where the pixel in column x and row y comes from.

    That is column ax + by + c and row dx + ey + f, the first pixel covering 0 to 1.
    """

    def only(operation: Operation) -> Tensor:
        return torch.where(operations == operation, magnitudes.double(), 0.0)

    angle = only(Operation.ROTATE).deg2rad()
    sine, cosine = angle.sin(), angle.cos()
    from_column = torch.stack([cosine, only(Operation.SHEAR_X) - sine], 1)
    from_row = torch.stack([only(Operation.SHEAR_Y) + sine, cosine], 1)
    middle = torch.tensor([width / 2, height / 2], dtype=torch.float64)
    pixel = torch.full((2,), 0.5, dtype=torch.float64)  # a pixel's place is its centre
    around = pixel - middle
    column = from_column @ around + middle[0] - only(Operation.TRANSLATE_X).trunc()
    row = from_row @ around + middle[1] - only(Operation.TRANSLATE_Y).trunc()
    # Shears keep the corner where it is, as in AutoAugment's code; what turns, turns around the middle.
    column += only(Operation.SHEAR_X) * middle[1]
    row += only(Operation.SHEAR_Y) * middle[0]
    matrices = torch.cat([from_column, column[:, None], from_row, row[:, None]], 1)
    return (matrices * 2**BITS).round().int()


def _moved(pixels: Tensor, matrices: Tensor) -> Tensor:
    """Nearest neighbours, one gather for all images."""
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
    """(N, 1, H, W) uint8."""
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
    blurred[:, :, 1:-1, 1:-1] = (2 * total + 13) // 26  # a thirteenth of the total, rounded
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
"""In the order of `Operation`."""
