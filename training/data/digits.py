"""Handwritten digits from scikit-learn: available without a download, trained on in seconds."""

import importlib.util
from pathlib import Path

import numpy as np
import torch

from ...specs import SpecError
from .dataset import DataSource
from .in_memory import Images
from .split import stratified


def load_digits(source: DataSource = DataSource()) -> tuple[Images, Images]:  # noqa: ARG001, B008
    """Return the training and test images; `source` is not used."""
    # The file is read without importing scikit-learn, since the import takes each worker two seconds.
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise SpecError(
            "the digits are part of scikit-learn, which is missing; run: pip install scikit-learn.", field="dataset"
        )
    scans = np.loadtxt(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    brightness = scans[:, :-1].reshape(-1, 1, 8, 8) / 16
    pixels = torch.tensor(np.round(255 * brightness).astype(np.uint8))
    images = Images(pixels=pixels, labels=torch.tensor(scans[:, -1].astype(np.int64)))
    for_test = stratified(images.labels, fraction=0.2, seed=0)  # the same split in every trial
    return images.subset(~for_test), images.subset(for_test)
