from typing import Annotated

import typer

from ...specs import SpecError
from ._options import Plugins, app

LARGEST = 10**6
"""Upper limit of each number: far above real networks, and small enough for PyTorch's integers."""


@app.command()
def describe(
    architecture: Annotated[str, typer.Argument(metavar="ARCH", help="Name of the architecture", show_default=False)],
    exits: Annotated[str, typer.Option(help="Placement of the exits, as in a sweep file")] = "all",
    head: Annotated[str, typer.Option(help="Head of each exit, as in a sweep file")] = "conv",
    size: Annotated[int, typer.Option(max=LARGEST, help="Height and width of the images in pixels")] = 32,
    channels: Annotated[int, typer.Option(max=LARGEST, help="Number of image channels")] = 3,
    classes: Annotated[int, typer.Option(max=LARGEST, help="Number of classes")] = 100,
    latency: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE", help="Device for a time measurement of each exit: cpu or cuda", show_default=False
        ),
    ] = None,
    batch: Annotated[int, typer.Option(max=LARGEST, help="Batch size of the time measurement")] = 1,
    plugin: Plugins = None,
) -> None:
    """Print the cost of each exit of a network: parameters, multiply-adds (MACs), memory, time."""
    from ...models import ArchitectureSpec, ExitSpec, build_network
    from ...training.plugins import read_plugins, use
    from ...training.resource_usage import is_out_of_memory
    from ..terminal.console import TerminalConsole
    from ..terminal.describe import description

    use(read_plugins(plugin or ()))
    spec, placed = ArchitectureSpec(name=architecture), ExitSpec(placement=exits, head=head)
    shape = (channels, size, size)
    try:
        network = build_network(spec, placed, image_shape=shape, classes=classes, seed=0)
        described = description(architecture, network, shape, batch_size=batch, device=latency)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        what = f"{architecture} needs more memory than is free"
        raise SpecError(f"{what}; reduce --size, --channels, --classes or --batch.") from error
    TerminalConsole().print(described)
