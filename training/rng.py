"""Where the random numbers of a training come from."""

import hashlib

import torch


def derive_seed(*place: int | str) -> int:
    """A seed for one place of a training, such as `derive_seed(seed, "augmentation", epoch, step)`.

    It has 32 bits, all that PyTorch's generator on the CPU reads.
    """
    return int.from_bytes(hashlib.sha256(" ".join(map(str, place)).encode()).digest()[:4])


def seed_modules(seed: int, device: torch.device) -> None:
    """Seeds what modules such as dropout draw from on a device.

    `torch.manual_seed` does so for devices of every kind, and takes 2 ms for those that are not there (torch 2.13).
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def generator_for(*place: int | str) -> torch.Generator:
    """A generator on the CPU for one place of a training.

    It depends on nothing that was drawn before, so a training can go on at any place without its past.
    """
    return torch.Generator().manual_seed(derive_seed(*place))
