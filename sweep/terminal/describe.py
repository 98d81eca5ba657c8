"""Table of the cost of each exit of a network."""

from collections.abc import Iterator

from rich.console import Group

from ...models import MultiExitNetwork, exit_activation_bytes, exit_costs, exit_latencies, parameters
from .grid import Grid


def description(
    name: str, network: MultiExitNetwork, image_shape: tuple[int, int, int], *, batch_size: int, device: str | None
) -> Group:
    """Return a table with a row for each exit, and with its measured time in ms if `device` is given."""
    costs = exit_costs(network, image_shape)
    shape = "x".join(map(str, image_shape))
    title = f"{name} at {shape}, {parameters(network):,} parameters in total"
    padding = (0, 1 if device is None else 0)  # the column of times fits into 80 columns only without padding
    table = Grid(title=title, title_justify="left", padding=padding)
    headings = ["exit", "after", "parameters", "multiply-\nadds, M", "with prior\nexits, M", "activations,\nMiB"]
    if device is not None:
        headings.append(f"{device}, batch {batch_size},\nms")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    rows = [
        [
            "final" if cost is costs[-1] else str(cost.exit),
            f"block{cost.block}",
            f"{cost.parameters:,}",
            f"{cost.multiply_adds / 1e6:,.1f}",
            f"{cost.cumulative_multiply_adds / 1e6:,.1f}",
            f"{activations / 2**20:,.2f}",
        ]
        for cost, activations in zip(costs, exit_activation_bytes(network, image_shape), strict=True)
    ]
    if device is not None:
        seconds = exit_latencies(network, image_shape, device=device, batch_size=batch_size)
        rows = [[*row, f"{1000 * value:.2f}"] for row, value in zip(rows, seconds, strict=True)]
    for row in rows:
        table.add_row(*row)
    return Group(
        table,
        "Each row is the network truncated at that exit. One multiply-add (MAC) is one multiplication and one "
        "addition, or two FLOPs. Only convolutions, linear layers and attention are counted. Activations: peak memory "
        "for one image in float32.",
        *_cuts(network),
    )


def _cuts(network: MultiExitNetwork) -> Iterator[str]:
    """Iterate over sentences on the places where exits of a network from elsewhere can be."""
    if names := network.trunk.block_names:
        listed = ", ".join(f"block{number} {of_block[-1]}" for number, of_block in enumerate(names[:-1], start=1))
        yield f"Exits can follow these blocks or, in the network's own names, modules: {listed}."
    if network.trunk.undivided is not None:
        yield (
            f"The whole network runs for each exit: {network.trunk.undivided}. Its exits serve training and accuracy, "
            "but cannot stop early."
        )
