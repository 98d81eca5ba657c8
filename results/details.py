"""Recorded curves of trials: reliability diagrams and early-exit inference."""

import json

import pandas as pd

from .frame import RELIABILITY_PREFIX
from .history import TRIAL


def reliability(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the data of reliability diagrams of a loaded sweep: one row per trial, exit and non-empty bin.

    Columns: `sweep`, `key`, `architecture`, `method` and `seed` as in `load`; `exit`, which is `final` or `ensemble`;
    `bin`, the number of the equal-width confidence bin, from 1; `images`, the number of images in it; `confidence`,
    their mean confidence, and `correct`, the fraction of them that is correct, both in [0, 1]. Images and epoch are
    those that the trial's protocol reports.
    """
    columns = [name for name in frame.columns if name.startswith(RELIABILITY_PREFIX)]
    rows = [
        [*trial, name.removeprefix(RELIABILITY_PREFIX), number, images, confidence, correct]
        for name in columns
        for *trial, recorded in frame.loc[frame[name].notna(), [*TRIAL, name]].itertuples(index=False)
        for number, (images, confidence, correct) in enumerate(json.loads(recorded), start=1)
        if images
    ]
    return pd.DataFrame(rows, columns=[*TRIAL, "exit", "bin", "images", "confidence", "correct"])


def early_exit_points(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the results of early-exit inference of a loaded sweep: one row per trial with exits and threshold.

    Columns: `sweep`, `key`, `architecture`, `method` and `seed` as in `load`; `threshold`, in [0, 1], the
    top-class probability at which an image leaves, the same at all exits; `multiply_adds` (MACs) per image, with all
    evaluated heads; and `top1` accuracy in %. Images and epoch are those that the trial's protocol reports.
    """
    rows = [
        [*trial, *point]
        for *trial, recorded in frame.loc[frame["early_exit"].notna(), [*TRIAL, "early_exit"]].itertuples(index=False)
        for point in json.loads(recorded)
    ]
    return pd.DataFrame(rows, columns=[*TRIAL, "threshold", "multiply_adds", "top1"])
