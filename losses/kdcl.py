from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from ..specs import NonNegative, Positive, Range
from ._torch import F, torch
from .functional import cross_entropy_sum, kd_loss, to_float32
from .method import Learned, LossInputs, Method, method


@method("kdcl")
@dataclass(frozen=True, kw_only=True)
class KDCL(Method):
    """Knowledge distillation via collaborative learning: several networks are trained towards their joint target.

    No code of the authors was found. Temperature and weight are those of independent implementations of `minlogit`.
    The ensemble `mean` is not in the paper; it is, up to its scale, the target of an implementation (GitHub
    `shaoeric/Online-Knowledge-Distillation-via-Collaborative-Learning`, train.py at 0774dc1). In the paper, each
    network has its own augmentation of an image; here all networks get the same one.
    """

    paper: ClassVar[str] = 'Guo et al. 2020, CVPR, "Online knowledge distillation via collaborative learning"'
    cohort: ClassVar[bool] = True

    networks: Annotated[int, Range(minimum=2)] = 2
    """Number of networks that are trained together."""
    ensemble: Literal["naive", "minlogit", "mean"] = "minlogit"
    """Target that the networks' logits form."""
    temperature: Positive = 2.0
    """Softmax temperature of both distributions."""
    output_weight: NonNegative = 1.0
    """Weight of the output term."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label` and `output`, summed over the networks i = 1..K.

            sum_i CE(z_i, y) + w T^2 sum_i KL(softmax(t / T) || softmax(z_i / T))

        z_i are the logits (N, C). No gradient flows into the target t (N, C). For each image with label y, it is

            "naive"      the logits of the network with the smallest cross-entropy
            "minlogit"   t_c = min_i (z_ic - z_iy): the smallest logit of each class, relative to the label's logit
            "mean"       sum_i z_i / K

        If labels are probabilities (N, C), z_iy is the expected logit, `sum_c y_c z_ic`.
        """
        with torch.no_grad():
            target = self._target(torch.stack([to_float32(z) for z in inputs.logits]), inputs.labels)
        divergences = [kd_loss(z, target, self.temperature) for z in inputs.logits]
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "output": self.output_weight * torch.stack(divergences).sum(),
        }

    def _target(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the target (N, C) for the logits (K, N, C) of all networks."""
        if self.ensemble == "mean":
            return logits.mean(dim=0)
        if self.ensemble == "naive":
            losses = torch.stack([F.cross_entropy(z, labels, reduction="none") for z in logits])
            best = losses.argmin(dim=0)
            return logits.gather(0, best[None, :, None].expand(1, *logits.shape[1:])).squeeze(0)
        if labels.dim() == 1:
            of_label = logits.gather(2, labels[None, :, None].expand(len(logits), -1, 1))
        else:
            of_label = (labels * logits).sum(dim=2, keepdim=True)
        return (logits - of_label).amin(dim=0)

    def inactive_fields(self) -> frozenset[str]:
        """Return the settings of the output term if it has weight 0."""
        return frozenset({"ensemble", "temperature"} if self.output_weight == 0 else ())
