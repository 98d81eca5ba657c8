from pathlib import Path
from shlex import join
from typing import Annotated

import typer

from ._options import app

File = Annotated[Path, typer.Argument(metavar="[FILE]", help="Sweep file to write")]
Dataset = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Dataset of `exeunt list datasets`, such as cifar100, or your own images: folder:PATH"
    ),
]


@app.command()
def init(file: File = Path("sweep.yaml"), dataset: Dataset = "digits@10%") -> None:
    """Write a sweep file with comments, from which you can start. A file that exists is not changed."""
    from ..planning.start_file import write_start_file

    write_start_file(file, dataset)
    typer.echo(f"Written: {file}. Next: {join(['exeunt', 'plan', str(file)])}")
