import pytest
import torch


@pytest.fixture
def write_picture():
    """Function that writes a random picture (3, height, width) as JPEG or PNG, by suffix, and returns its pixels."""
    from torchvision.io import write_jpeg, write_png

    generator = torch.Generator().manual_seed(0)

    def write(path, height=40, width=50):
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = torch.randint(0, 256, (1, 3, 6, 6), generator=generator).float()
        picture = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0].byte()
        if path.suffix.lower() in (".jpg", ".jpeg"):
            write_jpeg(picture, str(path))
        else:
            write_png(picture, str(path))
        return picture

    return write
