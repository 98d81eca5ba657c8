from typing import Annotated

import typer

from .program import Plugins, app


@app.command()
def describe(
    architecture: Annotated[str, typer.Argument(metavar="ARCH", help="The architecture's name.", show_default=False)],
    exits: Annotated[str, typer.Option(help="Where the exits sit, as in a sweep file.")] = "all",
    head: Annotated[str, typer.Option(help="What each exit is made of.")] = "conv",
    size: Annotated[int, typer.Option(help="Height and width of the images, in pixels.")] = 32,
    channels: Annotated[int, typer.Option(help="Of the images.")] = 3,
    classes: Annotated[int, typer.Option(help="Number of classes.")] = 100,
    latency: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="Measure each exit's time there: cpu or cuda.", show_default=False),
    ] = None,
    batch: Annotated[int, typer.Option(help="Images at once where the time is measured.")] = 1,
    plugin: Plugins = None,
) -> None:
    """Say what each exit of a network costs: parameters, multiply-adds, memory, time."""
    from rich.console import Console

    from ...models import ArchitectureSpec, ExitSpec, build_network
    from ...training.plugins import read_plugins, use
    from ..display.description import description

    use(read_plugins(plugin or ()))
    spec, placed = ArchitectureSpec(name=architecture), ExitSpec(placement=exits, head=head)
    shape = (channels, size, size)
    network = build_network(spec, placed, image_shape=shape, classes=classes, seed=0)
    Console().print(description(architecture, network, shape, batch_size=batch, device=latency))
