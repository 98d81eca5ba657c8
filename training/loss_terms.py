"""Check of what a loss returns in a training step, at no cost for the device."""

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..losses import Loss, LossInputs
from ..specs.user_code import described, refused, shapes
from .environment import nondeterministic_operator
from .resource_usage import is_out_of_memory

EXAMPLE = (
    'return a dictionary of scalar tensors by name, such as {"label": cross_entropy_sum(inputs.logits, inputs.labels)}'
)
SOURCES = {
    "teacher_logits": 'set `teacher: ClassVar = "required"` in the method',
    "teacher_stage_maps": 'set `teacher: ClassVar = "required"` in the method',
    "previous_epoch_logits": "set `needs_previous_epoch: ClassVar = True`; it is None in the first epoch",
    "teacher_features": 'set `teacher: ClassVar = "required"` in the method',
    "same_class_logits": "set `needs_same_class_pairs: ClassVar = True` in the method",
    "image_numbers": "set `needs_image_numbers: ClassVar = True` in the method",
    "second_view_teacher_logits": "set `second_view: ClassVar = POLICY` in the method, and require a teacher",
}
"""Way to get each input that only some methods have."""


def loss_code(loss: nn.Module) -> tuple[str, object]:
    """Return the name of the method of a loss, and the function or class that computes it."""
    if isinstance(loss, Loss):
        return loss.settings.name, type(loss.settings).loss
    return type(loss).__name__, type(loss)


def received(inputs: LossInputs, line: str) -> str:
    """Return sentences about the inputs that a line of a loss names, or about all if it names none.

    They give shapes and dtypes, and for an absent input the way to get it.
    """
    values = {field.name: getattr(inputs, field.name) for field in dataclasses.fields(inputs)}
    words = re.findall(r"\w+", line)
    named = [name for name in values if difflib.get_close_matches(name, words, n=1, cutoff=0.85)]
    there = {name: values[name] for name in named or values if not (values[name] is None or values[name] == ())}
    absent = [f"`inputs.{name}` is None: {SOURCES[name]}." for name in named if values[name] is None]
    return " ".join([*absent, *([f"It received {shapes(there)}."] if there else [])])


def passes(error: Exception) -> bool:
    """Return True for errors that are not mistakes of the code, such as too little memory."""
    return is_out_of_memory(error) or nondeterministic_operator(error) is not None


def checked_terms(terms: object, logits: Sequence[Tensor], name: str, code: object) -> dict[str, Tensor]:
    """Return the terms of a loss.

    Args:
        terms: Result of the loss.
        logits: Logits that the loss received.
        name: Name of the method.
        code: Function or class that computed the loss.

    Raises:
        SpecError: if the result is no dictionary of scalar tensors by name, or if no gradient leads to the logits.
    """
    subject = f"the loss of method {name!r}"
    if not isinstance(terms, Mapping):
        raise refused(subject, f"returned {_result(terms)}; {EXAMPLE}.", code)
    if not terms:
        raise refused(subject, f"returned an empty dictionary; {EXAMPLE}.", code)
    for term, value in terms.items():
        if not isinstance(term, str) or not re.fullmatch(r"\w[\w.-]*", term):
            rule = "name each term with letters, digits, '_', '-' and '.', such as 'label'"
            raise refused(subject, f"returned a term with the name {term!r}; {rule}.", code)
        if not isinstance(value, Tensor):
            fix = "return a scalar tensor" + (f", such as torch.tensor({value!r})" if isinstance(value, float) else "")
            raise refused(subject, f"returned {_result(value)} as term {term!r}; {fix}.", code)
        if value.ndim:
            fix = "reduce it to a scalar, for example with .mean()"
            raise refused(subject, f"returned a tensor {described(value)} as term {term!r}; {fix}.", code)
        if not value.is_floating_point():
            fix = "return a floating-point number"
            raise refused(subject, f"returned a tensor {described(value)} as term {term!r}; {fix}.", code)
    is_training = torch.is_grad_enabled() and any(part.requires_grad for part in logits)
    if is_training and not any(value.requires_grad for value in terms.values()):
        problem = f"returned terms ({', '.join(terms)}) without gradient, so no weight would change"
        fix = "compute them from inputs.logits or inputs.features without detach(), no_grad(), argmax() or item()"
        raise refused(subject, f"{problem}; {fix}.", code)
    return dict(terms)


def _result(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {described(value)}"
    return (
        f"{type(value).__name__} {described(value)}" if isinstance(value, int | float | str) else type(value).__name__
    )
