from typing import Annotated

import typer

from ...specs import SpecError
from ._options import Plugins, app

LARGEST = 10**6
"""Of each number: far beyond what is built, and what PyTorch can still count with."""


@app.command()
def describe(
    architecture: Annotated[str, typer.Argument(metavar="ARCH", help="The architecture's name.", show_default=False)],
    exits: Annotated[str, typer.Option(help="Where the exits sit, as in a sweep file.")] = "all",
    head: Annotated[str, typer.Option(help="What each exit is made of.")] = "conv",
    size: Annotated[int, typer.Option(max=LARGEST, help="Height and width of the images, in pixels.")] = 32,
    channels: Annotated[int, typer.Option(max=LARGEST, help="Of the images.")] = 3,
    classes: Annotated[int, typer.Option(max=LARGEST, help="Number of classes.")] = 100,
    latency: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="Measure each exit's time there: cpu or cuda.", show_default=False),
    ] = None,
    batch: Annotated[int, typer.Option(max=LARGEST, help="Images at once where the time is measured.")] = 1,
    plugin: Plugins = None,
) -> None:
    """Say what each exit of a network costs: parameters, multiply-adds, memory, time."""
    from rich.console import Console

    from ...models import ArchitectureSpec, ExitSpec, build_network
    from ...training.plugins import read_plugins, use
    from ...training.resource_usage import is_out_of_memory
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
        raise SpecError(f"{architecture} with all that was asked for needs more memory than is free.") from error
    Console().print(described)
