"""Shares of a data set's training images, for studies that cannot afford all of them."""

import functools
import math

from ...specs import SpecError
from .dataset import Dataset, DataSource, datasets
from .in_memory import ImageSet
from .split import stratified

SEED = 0
"""Of which images are taken: the same in all trials."""


def share_of(name: str) -> tuple[str, float]:
    """The data set and the share of its training images that a name such as `cifar100@20%` stands for.

    A name without a share stands for all of them. Raises `SpecError` where the share is none, or can be written
    shorter.
    """
    whole, at, share = name.rpartition("@")
    if not at or not share.endswith("%"):
        return name, 1.0
    try:
        percent = float(share.removesuffix("%"))
    except ValueError:
        percent = math.nan
    if not 0 < percent < 100:
        rule = "a share of the training images is above 0% and below 100%, such as 'cifar100@20%'"
        raise SpecError(f"{rule}, but got {name!r}.", field="dataset")
    if share != f"{percent:g}%":
        raise SpecError(f"{name!r} is written '{whole}@{percent:g}%', so that it has one name.", field="dataset")
    base, taken = share_of(whole)
    if base != whole:
        rule = f"a share is of all training images, such as '{base}@{taken * percent:g}%'"
        raise SpecError(f"{rule}, but got {name!r}, a share of a share.", field="dataset")
    return whole, percent / 100


@functools.cache  # asked for with every trial
def _part(name: str) -> Dataset:
    """The data set of which a share of each class is trained on; what it is tested on stays whole."""
    whole, share = share_of(name)
    facts = datasets[whole]

    def load(source: DataSource) -> tuple[ImageSet, ImageSet]:
        train, test = facts.load(source)
        taken = train.subset(stratified(train.labels, fraction=share, seed=SEED))
        if len(taken.labels.unique()) < facts.classes:
            raise SpecError(f"{name!r} leaves a class of {whole} without training images.", field="dataset")
        return taken, test

    return Dataset(
        description=f"{100 * share:g}% of each class of the training images of {whole}, always the same, and its test",
        image_shape=facts.image_shape,
        classes=facts.classes,
        mean=facts.mean,
        std=facts.std,
        load=load,
    )


datasets.register_pattern("*@*%", _part)
