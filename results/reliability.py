"""How right the networks are where they are how sure."""

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
