from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import Fraction
from ._torch import F, torch
from .functional import cross_entropy_sum, to_float32
from .method import Learned, LossInputs, Method, NetworkShape, Requirement, method


@method("sdn")
@dataclass(frozen=True, kw_only=True)
class ShallowDeep(Method):
    """Shallow-deep network: all exits are trained on the labels, with weights that grow up to their cost.

    The weights are those of the authors' program (GitHub `yigitcankaya/Shallow-Deep-Networks` at a556446,
    model_funcs.py), whose six exits are at 15%, 30%, ..., 90% of the cost. Here the cost of each exit is counted.
    """

    paper: ClassVar[str] = "Kaya, Hong, Dumitras 2019, arXiv 1810.07052"
    exits: ClassVar[Requirement] = "required"
    needs_exit_costs: ClassVar[bool] = True

    start: Fraction = 0.01
    """Weight of each exit before the first epoch."""

    def build_learned(self, shape: NetworkShape) -> dict[str, torch.Tensor]:
        """Return the cost of each exit except the final one, as a share of the final exit's."""
        return {"costs": torch.tensor(shape.exit_costs[:-1], dtype=torch.float64)}

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label` of the final exit and `auxiliary` of the other exits.

            CE(z_E, y) + sum_{i < E} min(C_i, start + progress C_i) CE(z_i, y)

        z_i are the logits (N, C) of exit i = 1..E, and C_i is the cost of leaving there, from 0 to 1.
        """
        weights = torch.minimum(learned["costs"], self.start + inputs.progress * learned["costs"])
        entropies = torch.stack([F.cross_entropy(to_float32(z), inputs.labels) for z in inputs.logits[:-1]])
        return {
            "label": cross_entropy_sum(inputs.logits[-1:], inputs.labels),
            "auxiliary": (weights.to(entropies.dtype) * entropies).sum(),
        }
