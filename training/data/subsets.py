"""Subsets of a dataset's training images, for studies with little compute."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ...specs import SpecError
from ...specs.lazy import LazyModule
from .dataset import Dataset, DataSource, datasets

if TYPE_CHECKING:
    from . import split
    from .in_memory import ImageSet
else:
    split = LazyModule(f"{__package__}.split")

SEED = 0
"""Seed that selects the images of a subset; the same in all trials."""


def share_of(name: str) -> tuple[str, float]:
    """Return the dataset and the fraction of its training images that a name such as `cifar100@20%` denotes.

    A name without a percentage denotes all training images.

    Raises:
        SpecError: if the percentage is out of range, repeated, or not in its shortest form.
    """
    whole, at, share = name.rpartition("@")
    if not at or not share.endswith("%"):
        return name, 1.0
    try:
        percent = float(share.removesuffix("%"))
    except ValueError:
        percent = math.nan
    if not 0 < percent < 100:
        rule = "the percentage of training images must be above 0% and below 100%, such as 'cifar100@20%'"
        raise SpecError(f"{rule}, but got {name!r}.", field="dataset")
    if share != f"{percent:g}%":
        raise SpecError(f"write {name!r} as '{whole}@{percent:g}%', the shortest form.", field="dataset")
    base, taken = share_of(whole)
    if base != whole:
        rule = f"use one percentage of all training images, such as '{base}@{taken * percent:g}%'"
        raise SpecError(f"{name!r} has two percentages; {rule}.", field="dataset")
    return whole, percent / 100


@functools.cache  # called for every trial
def subset(name: str) -> Dataset:
    """Return the registered dataset with a fraction of the training images of each class, and its whole test set."""
    whole, _ = share_of(name)
    return subset_of(datasets[whole], name)


def subset_of(facts: Dataset, name: str) -> Dataset:
    """Return a dataset with the fraction of its training images that a name such as `Flowers@20%` denotes."""
    whole, share = share_of(name)

    def load(source: DataSource) -> tuple[ImageSet, ImageSet]:
        train, test = facts.load(source)
        taken = train.subset(split.stratified(train.labels, fraction=share, seed=SEED))
        if len(taken.labels.unique()) < facts.classes:
            message = f"{name!r} leaves a class of {whole} without training images; use a larger percentage"
            raise SpecError(f"{message}.", field="dataset")
        return taken, test

    described = f"{100 * share:g}% of each class of the training images of {whole}, always the same; full test set"
    return replace(facts, description=described, load=load)


datasets.register_pattern("*@*%", subset)
