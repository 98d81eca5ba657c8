import os
from pathlib import Path

from ..training import DataSource


def data_source(data: Path | str | None, download: bool) -> DataSource:
    """Return the location of the datasets: a directory, or that of the environment variable `EXEUNT_DATA`."""
    data = data or os.environ.get("EXEUNT_DATA")
    return DataSource(directory=None if data is None else Path(data).absolute(), download=download)
