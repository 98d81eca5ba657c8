"""What each exit of a network costs, as a table."""

from rich.console import Group
from rich.table import Table

from ...models import MultiExitNetwork, exit_activation_bytes, exit_costs, exit_latencies, parameters


def description(
    name: str, network: MultiExitNetwork, image_shape: tuple[int, int, int], *, batch_size: int, device: str | None
) -> Group:
    """A table with a row per exit; with the measured time of each where a device to measure on is given."""
    costs = exit_costs(network, image_shape)
    shape = "x".join(map(str, image_shape))
    title = f"{name} at {shape}, {parameters(network):,} parameters in all"
    padding = (0, 1 if device is None else 0)  # with the time it would not fit into 80 columns
    table = Table(title=title, title_justify="left", padding=padding)
    headings = ["exit", "after", "parameters", "multiply-\nadds, M", "with exits\nbefore, M", "activations,\nMiB"]
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
        "A row is the network truncated at that exit. One multiply-add is one multiplication with its addition, or two "
        "FLOPs; convolutions and linear layers count. Activations: the most that one image holds at once, in float32.",
    )
