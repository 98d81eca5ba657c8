import numpy as np
import pytest
import torch
from exeunt.training.augmentation.operations import Operation, perform
from torchvision.transforms import InterpolationMode
from torchvision.transforms.autoaugment import _apply_op

MAGNITUDES = {
    Operation.IDENTITY: [0],
    Operation.SHEAR_X: [-0.99, -0.3, 0, 0.0667, 0.5],
    Operation.SHEAR_Y: [-0.99, -0.3, 0, 0.0667, 0.5],
    Operation.TRANSLATE_X: [-32, -3.7, -0.9, 0, 0.9, 1, 5.6],
    Operation.TRANSLATE_Y: [-32, -3.7, -0.9, 0, 0.9, 1, 5.6],
    Operation.ROTATE: [-135, -30, -4.5, 0, 10, 45, 90, 123],
    Operation.BRIGHTNESS: [-0.99, -0.4, 0, 0.033, 0.9],
    Operation.COLOR: [-0.99, -0.4, 0, 0.033, 0.9],
    Operation.CONTRAST: [-0.99, -0.4, 0, 0.033, 0.9],
    Operation.SHARPNESS: [-0.99, -0.4, 0, 0.033, 0.9],
    Operation.POSTERIZE: [1, 2, 5, 8],
    Operation.SOLARIZE: [0, 8.5, 127, 246.5, 255],
    Operation.AUTOCONTRAST: [0],
    Operation.EQUALIZE: [0],
    Operation.INVERT: [0],
}
SHAPES = [(1, 8, 8), (3, 9, 7), (3, 32, 32), (1, 13, 20), (3, 2, 5)]
THEIR_NAMES = {operation: operation.name.title().replace("_", "") for operation in Operation} | {
    Operation.AUTOCONTRAST: "AutoContrast"
}


def images_of(shape):
    """Return images with noise, low brightness, low contrast, a gradient, one colour and two colours."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (3, *shape), generator=generator)
    gradient = torch.linspace(0, 255, noise[0].numel()).view(shape)
    flat = [noise[0] // 8, 200 + noise[1] // 16, gradient.int(), torch.full(shape, 77), 30 + 90 * (noise[2] > 99)]
    return torch.stack([*noise, *flat]).to(torch.uint8)


def theirs(image, operation, magnitude):
    return _apply_op(image, THEIR_NAMES[operation], magnitude, InterpolationMode.NEAREST, None)


def on_a_border(operation, magnitude, height, width):
    """Return a mask (H, W) of the pixels whose source is so close to a pixel border that rounding decides."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    if operation == Operation.SHEAR_X:
        x = x + magnitude * y
    elif operation == Operation.SHEAR_Y:
        y = y + magnitude * x
    elif operation == Operation.ROTATE:
        turn = np.exp(1j * np.deg2rad(magnitude))
        place = (x - width / 2 + 1j * (y - height / 2)) * turn
        x, y = place.real + width / 2, place.imag + height / 2
    else:
        return np.zeros((height, width), bool)
    near = (height + width) / 2**16
    return (abs(x - x.round()) < near) | (abs(y - y.round()) < near)


@pytest.mark.parametrize("operation", list(Operation), ids=lambda operation: operation.name.lower())
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_operation_is_torchvisions_on_each_image_alone(operation, shape):
    """Results are equal, except at pixel borders: torchvision rounds in float32, and we use 16 fractional bits."""
    images = images_of(shape)
    magnitudes = torch.tensor(MAGNITUDES[operation]).float()
    batch = images.repeat_interleave(len(magnitudes), 0)
    for_each = magnitudes.repeat(len(images))
    changed = perform(batch, torch.full((len(batch),), int(operation)), for_each)
    assert changed.dtype == torch.uint8
    undecided = []
    for image, magnitude, result in zip(batch, for_each.tolist(), changed, strict=True):
        excepted = on_a_border(operation, magnitude, *shape[1:])
        expected = theirs(image, operation, magnitude)
        assert torch.equal(result[:, ~excepted], expected[:, ~excepted]), magnitude
        undecided.append(excepted.mean())
    assert np.mean(undecided) < 0.2


@pytest.mark.parametrize("contiguous", [torch.contiguous_format, torch.channels_last])
def test_each_image_of_a_batch_gets_its_own_operation(contiguous):
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (300, 3, 15, 12), dtype=torch.uint8, generator=generator)
    before = images.clone()
    operations = torch.randint(0, len(Operation), (300,), generator=generator)
    # These magnitudes avoid pixel borders: a shear and an angle with many digits, whole pixels, whole bits.
    magnitude = dict.fromkeys(Operation, 0.2357) | {
        Operation.ROTATE: 31.4159,
        Operation.TRANSLATE_X: 3,
        Operation.TRANSLATE_Y: -2,
        Operation.POSTERIZE: 3,
        Operation.SOLARIZE: 100,
    }
    magnitudes = torch.tensor([magnitude[Operation(number)] for number in operations.tolist()])
    changed = perform(images.to(memory_format=contiguous), operations, magnitudes)
    for number, operation in enumerate(operations.tolist()):
        expected = theirs(images[number], Operation(operation), magnitudes[number].item())
        assert torch.equal(changed[number], expected), Operation(operation)
    assert torch.equal(images, before)


@pytest.mark.parametrize("operation", list(Operation), ids=lambda operation: operation.name.lower())
def test_a_batch_of_one_and_an_empty_batch_can_be_changed(operation):
    image = images_of((3, 9, 7))[:1]
    magnitude = float(MAGNITUDES[operation][-1])
    changed = perform(image, torch.tensor([int(operation)]), torch.tensor([magnitude]))
    assert changed.shape == image.shape
    none = perform(image[:0], torch.zeros(0, dtype=torch.long), torch.zeros(0))
    assert none.shape == (0, 3, 9, 7)
