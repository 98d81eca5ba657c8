"""What a trial recorded in more numbers than one: how right it is where it is how sure, and where images may leave."""

import json

import pandas as pd

from .frame import RELIABILITY_PREFIX
from .history import TRIAL


def reliability(frame: pd.DataFrame) -> pd.DataFrame:
    """Read what reliability diagrams show from a loaded sweep: a row per trial, exit and bin that has images.

    Columns: `sweep`, `key`, `architecture`, `method` and `seed` as in `load`; `exit`, which is `final` or `ensemble`;
    `bin`, counted from 1, of those that cut confidence in equal parts; `images` in it; their mean `confidence`, and
    the share `correct` of them, both in [0, 1]. Of the images and the epoch that the trial's protocol reports.
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
    """Read what early-exit inference gives from a loaded sweep: a row per trial with exits and threshold.

    Columns: `sweep`, `key`, `architecture`, `method` and `seed` as in `load`; `threshold`, in [0, 1], of the top
    class's probability, at which images leave, the same at all exits; `multiply_adds` per image, heads that were
    passed included; and `top1` accuracy in %. Of the images and the epoch that the trial's protocol reports.
    """
    rows = [
        [*trial, *point]
        for *trial, recorded in frame.loc[frame["early_exit"].notna(), [*TRIAL, "early_exit"]].itertuples(index=False)
        for point in json.loads(recorded)
    ]
    return pd.DataFrame(rows, columns=[*TRIAL, "threshold", "multiply_adds", "top1"])
