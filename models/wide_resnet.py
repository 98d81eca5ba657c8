"""Wide residual networks.

Zagoruyko, Komodakis, "Wide Residual Networks", BMVC 2016 (arXiv 1605.07146): pre-activation residual networks of
6n + 4 layers with three stages of 16k, 32k and 64k channels after a stem of 16; wrn_28_10 has 28 layers and k = 10.
The optional dropout inside the blocks is omitted.
Initialisation as in the authors' code (szagoruyko/wide-residual-networks, models/utils.lua): He-normal (fan-out)
convolutions, zero classifier bias.
"""

from functools import partial

from .architectures import BackboneBuilder
from .preact_resnet import basic, preact_resnet

BUILDERS: dict[str, BackboneBuilder] = {
    f"wrn_{depth}_{factor}": partial(
        preact_resnet, basic, ((depth - 4) // 6,) * 3, (16 * factor, 32 * factor, 64 * factor), stem_width=16
    )
    for depth, factor in ((16, 1), (16, 2), (40, 1), (40, 2), (28, 10))
}
