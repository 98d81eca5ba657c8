from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import Count, Fraction, NonNegative, Positive
from ._torch import nn, torch
from .functional import cross_entropy_sum, to_float32, unit_vectors
from .method import Learned, LossInputs, Method, NetworkShape, TeacherRequirement, method

EPSILON = 1e-7
"""Constant in the denominators of the authors' program."""


@method("crd")
@dataclass(frozen=True, kw_only=True)
class CRD(Method):
    """Contrastive representation distillation: embeddings of one image agree, those of other classes do not.

    Equation and settings are those of the authors' program, crd/ and train_student.py of HobbitLong/RepDistiller
    b84f547, with one difference. It draws the negatives of an image without replacement if there are enough images of
    other classes. Here they are drawn with replacement, on the device.

    Two memories of n x 128 numbers, for n training images, are on the device and in checkpoints: 51 MB for 50,000
    images. A step multiplies each embedding with a whole memory. For 50,000 images that is 26 million multiply-adds per
    image, the backward pass included. If several processes train a network, each step copies the memories of process
    0 to all others. They get the embeddings of that process's images only, so that their entries are older than with
    one process.
    """

    paper: ClassVar[str] = "Tian, Krishnan, Isola 2020, ICLR, arXiv 1910.10699"
    teacher: ClassVar[TeacherRequirement] = "required"
    needs_image_numbers: ClassVar[bool] = True
    requires_hard_labels: ClassVar[bool] = True

    weight: NonNegative = 0.8
    """Weight of the contrastive term."""
    negatives: Count = 16384
    """Number of images of other classes that each image is compared with."""
    temperature: Positive = 0.07
    """Divisor of the products of embeddings."""
    momentum: Fraction = 0.5
    """Share of its old value that an embedding in the memory keeps when its image is seen."""
    embedding_dim: Count = 128
    """Number of dimensions of the embeddings."""

    def build_learned(self, shape: NetworkShape) -> dict[str, nn.Module | torch.Tensor]:
        """Return the two linear embeddings, the two memories and their constants, and the images ordered by class.

        A memory begins with uniform random numbers; its embeddings have a squared norm of 1 on average. A constant is
        -1 until the first step.
        """
        assert shape.image_labels is not None
        labels = shape.image_labels
        count, width, classes = len(labels), self.embedding_dim, torch.arange(shape.classes, device=labels.device)
        ordered, order = labels.sort(stable=True)
        bound = (3 / width) ** 0.5
        return {
            "student_embedding": nn.Linear(shape.feature_dim, width),
            "teacher_embedding": nn.Linear(shape.teacher_feature_dim, width),
            "student_memory": torch.empty(count, width).uniform_(-bound, bound),
            "teacher_memory": torch.empty(count, width).uniform_(-bound, bound),
            "student_constant": torch.full((), -1.0),
            "teacher_constant": torch.full((), -1.0),
            "image_classes": labels.clone(),
            "images_by_class": order,
            "class_starts": torch.searchsorted(ordered, classes),
            "class_ends": torch.searchsorted(ordered, classes, right=True),
        }

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label` and `contrast` of `CE(z, y) + w (L(s, M_t) + L(t, M_s))`.

            L(v, M) = -1/N sum_i (log(P_ii / (P_ii + q)) + sum_j log(q / (P_ij + q))),   q = K / n
            P_ij = exp(v_i M_j / T) / Z

        s = u(A s' + a) and t = u(B t' + b) (N, D) are the learned embeddings of the inputs s' (N, W) and t' (N, W_t) of
        the classifiers of student and teacher, with `u(x) = x / |x|`. M_s and M_t (n, D) are the memories of the n
        training images. j takes K random images whose class is not that of i. 1e-7 is added to each denominator. Z is n
        times the mean of exp(v_i M_j / T) in the first step, the pairs ii included, and is constant from then
        on. Each of the two L has its own Z.
        """
        assert inputs.image_numbers is not None
        assert inputs.teacher_features is not None
        numbers = inputs.image_numbers
        student = unit_vectors(learned["student_embedding"](to_float32(inputs.features[-1])))
        teacher = unit_vectors(learned["teacher_embedding"](to_float32(inputs.teacher_features.detach())))
        compared = torch.cat([numbers[:, None], self._draw(numbers, learned)], dim=1)
        losses, constants = [], []
        for own, embedded, memory in (("student", student, "teacher_memory"), ("teacher", teacher, "student_memory")):
            # The product with the whole memory needs less memory than the embeddings of all compared images.
            scores = ((embedded @ learned[memory].T).gather(1, compared) / self.temperature).exp()
            constant, images = learned[f"{own}_constant"], len(learned[memory])
            constants.append(torch.where(constant < 0, scores.detach().mean() * images, constant))
            losses.append(self._contrast(scores / constants[-1], images))
        learned["next"] = student.detach(), teacher.detach(), *constants
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "contrast": self.weight * torch.stack(losses).sum(),
        }

    def next_buffers(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the constants, and the memories, whose entries of the step's images are `u(m M_i + (1 - m) v_i)`."""
        assert inputs.image_numbers is not None
        student, teacher, student_constant, teacher_constant = learned["next"]
        memories = {}
        for name, embedded in (("student_memory", student), ("teacher_memory", teacher)):
            memory = learned[name]
            entries = self.momentum * memory[inputs.image_numbers] + (1 - self.momentum) * embedded
            memories[name] = memory.index_copy(0, inputs.image_numbers, unit_vectors(entries))
        return {**memories, "student_constant": student_constant, "teacher_constant": teacher_constant}

    def inactive_fields(self) -> frozenset[str]:
        """Return the settings of the contrastive term if it has weight 0."""
        return frozenset({"negatives", "temperature", "momentum", "embedding_dim"} if self.weight == 0 else ())

    def _draw(self, numbers: torch.Tensor, learned: Learned) -> torch.Tensor:
        """Draw the indices (N, K) of images of other classes, uniformly, without a synchronisation with the GPU."""
        order, classes = learned["images_by_class"], learned["image_classes"][numbers][:, None]
        start, end = learned["class_starts"][classes], learned["class_ends"][classes]
        others = len(order) - (end - start)
        drawn = torch.rand(len(numbers), self.negatives, dtype=torch.float64, device=numbers.device)
        places = (drawn * others).long()
        places = torch.where(places < start, places, places + end - start)
        return order[places.clamp(max=len(order) - 1)]  # beyond the end only if all images have one class

    def _contrast(self, shares: torch.Tensor, images: int) -> torch.Tensor:
        """Return L for P (N, 1 + K), whose first column has the image itself."""
        noise = self.negatives / images
        same = (shares[:, 0] / (shares[:, 0] + (noise + EPSILON))).log().sum()
        other = (noise / (shares[:, 1:] + (noise + EPSILON))).log().sum()
        return -(same + other) / len(shares)
