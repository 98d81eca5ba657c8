from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..specs import NonNegative, Positive, Range
from .functional import cross_entropy_sum, kd_loss, to_float32
from .method import Loss, LossInputs, Method, method


class KDCLLoss(Loss["KDCL"]):
    """`sum_i CE(z_i, y) + w T^2 sum_i KL(softmax(t / T) || softmax(z_i / T))`, z_i (N, C) of network i = 1..K.

    No gradient flows into the target t, (N, C), which is, for each image with the label y,

        "naive"      the logits of the network whose cross-entropy is least
        "minlogit"   t_c = min_i (z_ic - z_iy): of each class the least logit, counted from the label's
        "mean"       sum_i z_i / K

    Where labels are probabilities (N, C), z_iy is their mean logit, `sum_c y_c z_ic`.
    """

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the terms `label` and `output`, summed over the networks."""
        target = self.target(torch.stack([to_float32(z) for z in inputs.logits]), inputs.labels)
        divergences = [kd_loss(z, target, self.settings.temperature) for z in inputs.logits]
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "output": self.settings.output_weight * torch.stack(divergences).sum(),
        }

    @torch.no_grad()
    def target(self, logits: Tensor, labels: Tensor) -> Tensor:
        """What logits (K, N, C) of all networks teach, (N, C)."""
        if self.settings.ensemble == "mean":
            return logits.mean(dim=0)
        if self.settings.ensemble == "naive":
            losses = torch.stack([F.cross_entropy(z, labels, reduction="none") for z in logits])
            best = losses.argmin(dim=0)
            return logits.gather(0, best[None, :, None].expand(1, *logits.shape[1:])).squeeze(0)
        if labels.dim() == 1:
            of_label = logits.gather(2, labels[None, :, None].expand(len(logits), -1, 1))
        else:
            of_label = (labels * logits).sum(dim=2, keepdim=True)
        return (logits - of_label).amin(dim=0)


@method("kdcl")
@dataclass(frozen=True, kw_only=True)
class KDCL(Method):
    """Online distillation by collaborative learning: several networks learn together from one target that they make.

    No program of the authors' was found. Temperature and weight are those that independent programs have for
    `minlogit`; `mean` is no ensemble of the paper's, but the target of a program under its name (GitHub
    `shaoeric/Online-Knowledge-Distillation-via-Collaborative-Learning`, train.py at 0774dc1) up to its scale. In the
    paper each network sees an augmentation of its own; here all see the same.
    """

    paper: ClassVar[str] = 'Guo et al. 2020, CVPR, "Online knowledge distillation via collaborative learning"'
    loss: ClassVar[type[KDCLLoss]] = KDCLLoss
    cohort: ClassVar[bool] = True

    networks: Annotated[int, Range(minimum=2)] = 2
    """How many learn together."""
    ensemble: Literal["naive", "minlogit", "mean"] = "minlogit"
    """How the networks make the target."""
    temperature: Positive = 2.0
    """Softens both distributions."""
    output_weight: NonNegative = 1.0
    """Of what the target teaches."""

    def inactive_fields(self) -> frozenset[str]:
        """What shapes a term without weight."""
        return frozenset({"ensemble", "temperature"} if self.output_weight == 0 else ())
