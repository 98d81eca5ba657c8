from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..specs import Fraction, NonNegative, Positive
from ._torch import nn, torch
from .functional import cross_entropy_sum, kd_loss, to_float32
from .method import Learned, LossInputs, Method, NetworkShape, Requirement, method


@method("byot")
@dataclass(frozen=True, kw_only=True)
class BYOT(Method):
    """Be your own teacher: the other exits are distilled from the softened outputs and features of the final exit.

    The defaults are those of the first author's program (train.py of GitHub
    `ArchipLab-LinfengZhang/pytorch-self-distillation-final` at 47ca93b): alpha 0.3, temperature 3 without the factor
    T^2, and 0.03 times the distance of the features, after a learned linear layer for each exit. A comment there
    excludes the shallowest exit from the feature term; the code excludes `outputs[1]`, which is the deepest of the
    other exits. The default of `without_feature` follows the code.
    """

    paper: ClassVar[str] = "Zhang, Song, Gao, Chen, Bao, Ma 2019, arXiv 1905.08094; TPAMI 2021"
    exits: ClassVar[Requirement] = "required"

    temperature: Positive = 3.0
    """Softmax temperature of both distributions."""
    output_weight: Fraction = 0.3
    """Weight of the output term of each exit except the final one; its label term gets 1 - output_weight."""
    feature_weight: NonNegative = 0.03
    """Weight of the feature distance, the norm over all images and features of a batch; 0 disables it."""
    without_feature: Literal["deepest", "shallowest", "none"] = "deepest"
    """Exit without a feature term, besides the final one: the deepest of the others, the shallowest, or none."""

    def build_learned(self, shape: NetworkShape) -> dict[str, nn.Module]:
        """Return the linear layer (W, W) of each exit with a feature term."""
        layers: dict[str, nn.Module] = {
            f"adapt{i}": nn.Linear(shape.feature_dim, shape.feature_dim) for i in self._hinted(shape.exits)
        }
        return layers if self.feature_weight else {}

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label`, `output` and, if there are such exits and its weight is not 0, `hint`.

            CE(z_E, y) + sum_{i < E} (1 - a) CE(z_i, y) + a KL(p_E || p_i) + l ||A_i f_i - f_E||

        z_i are the logits (N, C), `p_i = softmax(z_i / T)`, f_i the features (N, W) of exit i = 1..E, and A_i a learned
        linear layer. No gradient flows into p_E and f_E. The authors minimise the cross-entropy to p_E, which has the
        same gradient as the divergence.
        """
        weight = self.output_weight
        *students, target = inputs.logits
        divergences = [kd_loss(z, target.detach(), self.temperature) for z in students]
        terms = {
            "label": cross_entropy_sum([target], inputs.labels)
            + (1 - weight) * cross_entropy_sum(students, inputs.labels),
            "output": weight / self.temperature**2 * torch.stack(divergences).sum(),
        }
        if self.feature_weight and (hinted := self._hinted(len(inputs.logits))):
            *features, hint = [to_float32(f) for f in inputs.features]
            distances = [torch.linalg.vector_norm(learned[f"adapt{i}"](features[i]) - hint.detach()) for i in hinted]
            terms["hint"] = self.feature_weight * torch.stack(distances).sum()
        return terms

    def _hinted(self, exits: int) -> range:
        """Return the positions of the exits with a feature term."""
        return range(self.without_feature == "shallowest", exits - 1 - (self.without_feature == "deepest"))

    def inactive_fields(self) -> frozenset[str]:
        """Return the settings of the terms that have weight 0."""
        unused = {"temperature": self.output_weight, "without_feature": self.feature_weight}
        return frozenset(name for name, weight in unused.items() if weight == 0)
