"""Wide residual networks.

Zagoruyko, Komodakis, "Wide Residual Networks", BMVC 2016 (arXiv 1605.07146): pre-activation residual networks of
6n + 4 layers with three stages of 16k, 32k and 64k channels behind a stem of 16; wrn_28_10 is 28 layers with k = 10.
Without the dropout that the paper tries inside the blocks.
Weights as the authors' code draws them (szagoruyko/wide-residual-networks, models/utils.lua): He-normal (fan-out)
convolutions, no bias in the classifier to begin with.
"""

from functools import partial

from .backbone import architectures
from .preact_resnet import basic, preact_resnet

for depth, factor in ((16, 1), (16, 2), (40, 1), (40, 2), (28, 10)):
    widths = (16 * factor, 32 * factor, 64 * factor)
    builder = partial(preact_resnet, basic, ((depth - 4) // 6,) * 3, widths, stem_width=16)
    architectures.register(f"wrn_{depth}_{factor}")(builder)
