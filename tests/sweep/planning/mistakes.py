"""Mistakes in plugins as users make them: each is one message with the file and the line."""

from typing import NamedTuple

METHOD = '''\
import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from exeunt.losses import Loss, Method, method
from exeunt.losses.functional import cross_entropy_sum, kd_loss
from exeunt.specs import Positive
from torch import nn


@method("own")
@dataclass(frozen=True, kw_only=True)
class Own(Method):
    """Custom method."""

    paper: ClassVar = "none"
    exits: ClassVar = "required"
    strength: Positive = 1.0

'''
NETWORK = """\
from exeunt.models import Backbone, Block, architectures, heads
from exeunt.models.layers import Pool, conv_bn, initialise
import torch
from torch import nn


class Two(nn.Module):
    def __init__(self, inside, outside, stride):
        super().__init__()
        self.one = nn.Conv2d(inside, outside, 3, stride, padding=1)
        self.two = nn.Conv2d(outside, outside, 3, padding=1)

    def forward(self, x):
        return torch.relu(self.two(torch.relu(self.one(x))))


class Own(Block):
    def __init__(self, inside, outside, stride):
        super().__init__(out_channels=outside, stride=stride)
        self.layers = nn.Sequential(conv_bn(inside, outside, 3, stride), nn.ReLU())

    def forward(self, hidden):
        return self.layers(hidden)

"""


class Mistake(NamedTuple):
    """Code that is added to a plugin with imports, and parts of the message."""

    code: str
    """Code with a mistake; the line of the message ends with `# here`."""
    parts: tuple[str, ...]
    """Texts that the message has."""


def loss(*lines: str) -> str:
    """Return a loss with these lines."""
    return "".join(f"    {line}\n" for line in ("def loss(self, inputs, learned):", *(f"    {line}" for line in lines)))


OF_METHODS: dict[str, Mistake] = {
    "a tensor": Mistake(
        loss("return cross_entropy_sum(inputs.logits, inputs.labels)").replace("learned):", "learned):  # here"),
        ("the loss of method 'own' returned a tensor () float32", "return a dictionary of scalar tensors by name"),
    ),
    "a tuple": Mistake(
        loss("return cross_entropy_sum(inputs.logits, inputs.labels), {}").replace("learned):", "learned):  # here"),
        ("returned tuple; return a dictionary",),
    ),
    "nothing": Mistake(
        loss("terms = {'a': inputs.logits[0].mean()}").replace("learned):", "learned):  # here"),
        ("returned NoneType; return a dictionary",),
    ),
    "an empty dictionary": Mistake(
        loss("return {}").replace("learned):", "learned):  # here"), ("returned an empty dictionary",)
    ),
    "a float": Mistake(
        loss("return {'a': cross_entropy_sum(inputs.logits, inputs.labels), 'b': 0.5}").replace(
            "):\n", "):  # here\n", 1
        ),
        ("returned float 0.5 as term 'b'", "return a scalar tensor, such as torch.tensor(0.5)"),
    ),
    "item": Mistake(
        loss("return {'a': cross_entropy_sum(inputs.logits, inputs.labels).item()}").replace("):\n", "):  # here\n", 1),
        ("returned float ", "as term 'a'"),
    ),
    "an array": Mistake(
        loss("return {'a': np.float64(1)}").replace("):\n", "):  # here\n", 1), ("returned float64", "as term 'a'")
    ),
    "a nested dictionary": Mistake(
        loss("return {'a': {'b': inputs.logits[0].mean()}}").replace("):\n", "):  # here\n", 1),
        ("returned dict as term 'a'; return a scalar tensor",),
    ),
    "a list of terms": Mistake(
        loss("return {'a': [z.mean() for z in inputs.logits]}").replace("):\n", "):  # here\n", 1),
        ("returned list as term 'a'",),
    ),
    "a value for each image": Mistake(
        loss("return {'a': F.cross_entropy(inputs.logits[-1], inputs.labels, reduction='none')}").replace(
            "):\n", "):  # here\n", 1
        ),
        ("returned a tensor (8,) float32 as term 'a'; reduce it to a scalar, for example with .mean()",),
    ),
    "one value in a vector": Mistake(
        loss("return {'a': inputs.logits[-1].mean().reshape(1)}").replace("):\n", "):  # here\n", 1),
        ("a tensor (1,) float32 as term 'a'",),
    ),
    "an integer": Mistake(
        loss("return {'a': (inputs.logits[-1].argmax(1) == inputs.labels).sum()}").replace("):\n", "):  # here\n", 1),
        ("returned a tensor () int64 as term 'a'; return a floating-point number",),
    ),
    "a number as name": Mistake(
        loss("return {0: inputs.logits[-1].mean()}").replace("):\n", "):  # here\n", 1),
        ("returned a term with the name 0; name each term with letters, digits",),
    ),
    "a name with a slash": Mistake(
        loss("return {'a/b': inputs.logits[-1].mean()}").replace("):\n", "):  # here\n", 1),
        ("returned a term with the name 'a/b'",),
    ),
    "no gradient": Mistake(
        loss("return {'a': cross_entropy_sum([z.detach() for z in inputs.logits], inputs.labels)}").replace(
            "):\n", "):  # here\n", 1
        ),
        ("returned terms (a) without gradient, so no weight would change; compute them from inputs.logits",),
    ),
    "no_grad": Mistake(
        loss("with torch.no_grad():", "    return {'a': cross_entropy_sum(inputs.logits, inputs.labels)}").replace(
            "):\n", "):  # here\n", 1
        ),
        ("without gradient",),
    ),
    "label": Mistake(
        loss("return {'a': cross_entropy_sum(inputs.logits, inputs.label)}  # here"),
        ("AttributeError: 'LossInputs' object has no attribute 'label'; the nearest is 'labels'", "labels: (8,) int64"),
    ),
    "logit": Mistake(
        loss("return {'a': inputs.logit[-1].mean()}  # here"),
        ("the nearest is 'logits'", "logits: 3 x (8, 10) float32"),
    ),
    "a setting": Mistake(
        loss("return {'a': self.strenth * inputs.logits[-1].mean()}  # here"), ("the nearest is 'strength'",)
    ),
    "a local name": Mistake(
        loss("target = inputs.logits[-1]", "return {'a': traget.mean()}  # here"),
        ("NameError: name 'traget' is not defined; the nearest is 'target'",),
    ),
    "a function of PyTorch": Mistake(
        loss("return {'a': F.crossentropy(inputs.logits[-1], inputs.labels)}  # here"), ("'cross_entropy'",)
    ),
    "an exit too many": Mistake(
        loss("return {'a': inputs.logits[3].mean()}  # here"),
        ("raised IndexError: tuple index out of range", "logits: 3 x (8, 10) float32"),
    ),
    "no teacher": Mistake(
        loss("return {'a': kd_loss(inputs.logits[-1], inputs.teacher_logits, 4)}  # here"),
        ("`inputs.teacher_logits` is None", "teacher: ClassVar"),
    ),
    "no past": Mistake(
        loss("return {'a': (inputs.logits[-1] - inputs.previous_epoch_logits).square().mean()}  # here"),
        ("`inputs.previous_epoch_logits` is None", "needs_previous_epoch: ClassVar = True"),
    ),
    "a learned name": Mistake(
        loss("return {'a': learned['scores'].sum() * inputs.logits[-1].mean()}  # here"), ("raised KeyError: 'scores'",)
    ),
    "maps of different sizes": Mistake(
        loss("return {'a': torch.stack(inputs.stage_maps).mean()}  # here"),
        ("stack expects each tensor to be equal size", "stage_maps: [(8, 16, 8, 8) float32, (8, 32, 4, 4) float32"),
    ),
    "features of one exit with logits": Mistake(
        loss("return {'a': (inputs.features[0] - inputs.logits[0]).square().mean()}  # here"),
        ("must match the size", "features: 3 x (8, 64) float32"),
    ),
    "features of different widths": Mistake(
        loss("return {'a': torch.stack([*inputs.features, inputs.logits[0]]).mean()}  # here"),
        ("stack expects each tensor to be equal size", "logits: 3 x (8, 10) float32, features: 3 x (8, 64) float32"),
    ),
    "labels as floats": Mistake(
        loss("return {'a': F.cross_entropy(inputs.logits[-1], inputs.labels.float())}  # here"),
        ("raised RuntimeError", "labels: (8,) int64"),
    ),
    "doubles": Mistake(
        loss("w = torch.ones(10, 10, dtype=torch.float64)", "return {'a': (inputs.logits[-1] @ w).mean()}  # here"),
        ("raised RuntimeError: expected m1 and m2 to have the same dtype", "float32"),
    ),
    "sys.exit": Mistake(loss("sys.exit(0)  # here"), ("called sys.exit(0). Raise an exception instead",)),
    "sys.exit without a status": Mistake(loss("sys.exit()  # here"), ("called sys.exit().",)),
    "an assertion": Mistake(loss("assert len(inputs.logits) == 4  # here"), ("raised AssertionError.",)),
    "an own exception": Mistake(
        loss("raise ValueError('line one\\n\\x1b[31mline two')  # here"), ("raised ValueError: line one. Correct",)
    ),
    "NaN": Mistake(
        loss("return {'a': inputs.logits[-1].mean() / 0 * 0}").replace("):\n", "):  # here\n", 1),
        ("numbers that are not finite", "a and norm of the gradient not finite (a nan", "check divisions"),
    ),
    "infinite": Mistake(
        loss("return {'a': (inputs.logits[-1].abs() * 0).log().mean()}").replace("):\n", "):  # here\n", 1),
        ("not finite",),
    ),
    "NaN in the gradient": Mistake(
        loss("return {'a': (inputs.logits[-1] * 0).abs().sqrt().sum()}").replace("):\n", "):  # here\n", 1),
        ("norm of the gradient not finite (a 0, norm of the gradient nan)",),
    ),
    "recursion": Mistake(
        loss("return self.loss(inputs, learned)  # here"),
        ("raised RecursionError", "The function calls itself without an end"),
    ),
    "changed in place": Mistake(
        loss("z = inputs.logits[-1].exp()", "s = z.sum()", "z.square_()", "return {'a': (s + z.sum())}").replace(
            "):\n", "):  # here\n", 1
        ),
        ("the backward pass of method 'own' raised RuntimeError: one of the variables needed for gradient",),
    ),
    "the settings are changed": Mistake(
        loss("self.strength = 2.0  # here", "return {'a': inputs.logits[-1].mean()}"),
        ("raised FrozenInstanceError: cannot assign to field 'strength'",),
    ),
    "one argument": Mistake(
        "    def loss(self, inputs):  # here\n        return {'a': inputs.logits[-1].mean()}\n",
        ("raised TypeError: Own.loss() takes 2 positional arguments but 3 were given",),
    ),
    "learned weights that are wrong": Mistake(
        "    def build_learned(self, shape):\n        return {'w': nn.Linear(shape.width, 1)}  # here\n"
        + loss("return {'a': inputs.logits[-1].mean()}"),
        (
            "method 'own' raised AttributeError",
            "'NetworkShape' object has no attribute 'width'; choose from",
            "'feature_dim'",
            "feature_dim=64",
        ),
    ),
    "learned weights of another size": Mistake(
        "    def build_learned(self, shape):\n        return {'w': nn.Linear(32, 1)}\n"
        + loss("return {'a': learned['w'](inputs.features[-1]).mean()}  # here"),
        ("mat1 and mat2 shapes cannot be multiplied (8x64 and 32x1)",),
    ),
    "a list of learned weights": Mistake(
        "    def build_learned(self, shape):  # here\n        return [torch.zeros(1)]\n"
        + loss("return {'a': inputs.logits[-1].mean()}"),
        ("'list' object has no attribute 'items'",),
    ),
    "settings that raise": Mistake(
        "    def __post_init__(self):\n        self.strenght  # here\n"
        + loss("return {'a': inputs.logits[-1].mean()}"),
        ("the settings of method 'own' raised AttributeError", "the nearest is 'strength'"),
    ),
    "a check that raises": Mistake(
        "    def check(self, exits, *, stages=None):\n        return 1 / 0  # here\n"
        + loss("return {'a': inputs.logits[-1].mean()}"),
        ("method 'own' raised ZeroDivisionError: division by zero",),
    ),
    "inactive fields that are a list": Mistake(
        "    def inactive_fields(self):\n        return frozenset({self.strenght})  # here\n"
        + loss("return {'a': inputs.logits[-1].mean()}"),
        ("the nearest is 'strength'",),
    ),
    "a module without super().__init__()": Mistake(
        "    class Part(Loss):\n        def __init__(self, settings, shape):\n"
        "            self.w = nn.Linear(2, 2)  # here\n        def forward(self, inputs):\n            return {}\n"
        "    loss: ClassVar = Part\n",
        ("cannot assign module before Module.__init__() call", "Call super().__init__() first"),
    ),
}
"""Mistakes in methods, by name."""

PLAIN = """
@architectures.register("own")
class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.blocks = nn.Sequential(Two(1, 8, 1), Two(8, 16, 2), Two(16, 16, 1))
        self.fc = nn.Linear(16, num_classes)

    def forward(self, x):
        return self.fc(self.blocks(x).mean((2, 3)))
"""
BUILT = """
@architectures.register("own")
def own(*, channels, classes):
    stages = [[Own(8, 8, 1)], [Own(8, 16, 2)]]
    stem = nn.Sequential(conv_bn(channels, 8, 3), nn.ReLU())
    return initialise(Backbone(stem=stem, stages=stages, neck=Pool(), width=16, classes=classes))
"""


def changed(source: str, old: str, new: str) -> str:
    """Return source code with a mistake."""
    assert old in source
    return source.replace(old, new)


def bad_block(condition: str, error: str) -> str:
    """Return a network with a block that raises an error under a condition."""
    lines = ("class Bad(Own):", "    def forward(self, hidden):", f"        if {condition}:")
    raises = (f"            raise {error}  # here", "        return super().forward(hidden)", "", "")
    return "\n".join((*lines, *raises)) + changed(BUILT, "[Own(8, 8, 1)]", "[Bad(8, 8, 1)]")


OF_NETWORKS: dict[str, Mistake] = {
    "a parameter that is not given": Mistake(
        changed(
            BUILT,
            '@architectures.register("own")\ndef own(*, channels, classes)',
            '@architectures.register("own")  # here\ndef own(*, channels, classes, depth)',
        ),
        (
            "own raised TypeError: own() missing 1 required keyword-only argument: 'depth'",
            "It was called as own(channels=1, classes=10)",
            "a builder can take `channels`, `classes`, `image_size`",
        ),
    ),
    "no module": Mistake(
        changed(
            changed(BUILT, "    return initialise", "    initialise"), 'register("own")', 'register("own")  # here'
        ),
        ("own returned NoneType, not a torch.nn.Module; return the network",),
    ),
    "a class instead of a network": Mistake(
        '\n@architectures.register("own")  # here\ndef own():\n    return nn.Linear\n',
        ("own returned type, not a torch.nn.Module",),
    ),
    "a builder that raises": Mistake(
        changed(BUILT, "    stem =", "    1 / 0  # here\n    stem ="), ("own raised ZeroDivisionError",)
    ),
    "a builder that exits": Mistake(
        changed(BUILT, "    stem =", "    raise SystemExit(3)  # here\n    stem ="), ("own called sys.exit(3)",)
    ),
    "a fixed number of logits": Mistake(
        changed(changed(BUILT, "classes=classes", "classes=100"), 'register("own")', 'register("own")  # here'),
        ("own returned a network with 100 logits, but the dataset has 10 classes", "take the argument `classes`"),
    ),
    "a fixed number of image channels": Mistake(
        changed(changed(BUILT, "conv_bn(channels, 8", "conv_bn(3, 8"), 'register("own")', 'register("own")  # here'),
        ("the network raised RuntimeError", "to have 3 channels, but got 1 channels instead", "(1, 1, 8, 8) float32"),
    ),
    "a wrong width": Mistake(
        changed(changed(BUILT, "width=16", "width=32"), 'register("own")', 'register("own")  # here'),
        ("the network raised RuntimeError", "shapes cannot be multiplied"),
    ),
    "blocks that do not fit": Mistake(
        changed(BUILT, "Own(8, 16, 2)", "Own(4, 16, 2)").replace('register("own")', 'register("own")'),
        ("to have 4 channels, but got 8 channels instead",),
    ),
    "a block without super().__init__()": Mistake(
        "class Bad(Block):\n    def __init__(self):\n        self.layers = nn.ReLU()  # here\n"
        + changed(BUILT, "[Own(8, 8, 1)]", "[Bad()]"),
        (
            "cannot assign module before Module.__init__() call",
            "Call super().__init__() first: `self.layers = nn.ReLU()",
        ),
    ),
    "a block without arguments": Mistake(
        "class Bad(Block):\n    def __init__(self):\n        super().__init__()  # here\n"
        + changed(BUILT, "[Own(8, 8, 1)]", "[Bad()]"),
        ("missing 2 required keyword-only arguments: 'out_channels' and 'stride'",),
    ),
    "a forward that returns a tuple": Mistake(
        changed(
            changed(
                PLAIN, "return self.fc(self.blocks(x).mean((2, 3)))", "return self.fc(self.blocks(x).mean((2, 3))), x"
            ),
            'register("own")',
            'register("own")  # here',
        ),
        ("does not return a logit for each class",),
    ),
    "a forward that returns maps": Mistake(
        changed(
            changed(PLAIN, "return self.fc(self.blocks(x).mean((2, 3)))", "return self.blocks(x)"),
            'register("own")',
            'register("own")  # here',
        ),
        ("not a logit for each class",),
    ),
    "a forward that raises": Mistake(
        changed(PLAIN, "        return self.fc", "        x = x.veiw(-1)  # here\n        return self.fc"), ("veiw",)
    ),
    "a forward with a wrong width": Mistake(
        changed(PLAIN, "nn.Linear(16, num_classes)", "nn.Linear(20, num_classes)"), ("shapes cannot be multiplied",)
    ),
    "a forward that recurses": Mistake(
        changed(PLAIN, "        return self.fc", "        return self.forward(x)  # here\n        return self.fc"),
        ("recursion",),
    ),
    "a network without super().__init__()": Mistake(
        changed(PLAIN, "        super().__init__()\n        self.blocks", "        self.blocks").replace(
            "Two(16, 16, 1))", "Two(16, 16, 1))  # here"
        ),
        ("cannot assign module before Module.__init__() call",),
    ),
    "a network that reads a name that it has not": Mistake(
        changed(PLAIN, "return self.fc(self", "return self.fd(self"), ("fd",)
    ),
    "a number of classes without a name that is known": Mistake(
        changed(PLAIN, "num_classes", "outputs").replace('register("own")', 'register("own")  # here'),
        ("missing 1 required positional argument: 'outputs'", "a builder can take"),
    ),
    "only in training": Mistake(
        bad_block("self.training", "RuntimeError('no')"),
        ("the network raised RuntimeError: no", "images (8, 1, 8, 8) float32"),
    ),
    "only in evaluation": Mistake(
        bad_block("not self.training and hidden.device.type == 'cpu'", "RuntimeError('no')"),
        ("the network in evaluation mode raised RuntimeError: no",),
    ),
    "only with values": Mistake(
        bad_block("hidden.device.type == 'cpu'", "KeyError('x')"), ("the network raised KeyError: 'x'",)
    ),
}
"""Mistakes in architectures, by name."""

HEAD = '\n@heads.register("own_head")  # here\ndef own(channels, steps):\n    return '
OF_HEADS: dict[str, Mistake] = {
    "no module": Mistake(f"{HEAD}None\n", ("head 'own_head' returned NoneType, not a torch.nn.Module",)),
    "one argument": Mistake(
        changed(HEAD, "(channels, steps)", "(channels)") + "nn.Identity()\n",
        ("head 'own_head' raised TypeError: own() takes 1 positional argument but 2 were given", "the steps"),
    ),
    "a wrong width": Mistake(
        f"{HEAD}nn.Conv2d(channels, 5, 1)\n",
        ("returned (2, 5, 16, 16) for a map (2, 16, 16, 16); return a map (2, 64, h, w)", "steps[-1].out_channels"),
    ),
    "features instead of a map": Mistake(
        f"{HEAD}nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())\n", ("returned (2, 16)", "return a map")
    ),
    "a name of a step": Mistake(
        changed(HEAD, "  # here", "") + "nn.Conv2d(channels, steps[-1].channels, 1)  # here\n",
        ("has no attribute 'channels'; the nearest is 'out_channels'",),
    ),
    "other channels": Mistake(
        f"{HEAD}nn.Conv2d(3, steps[-1].out_channels, 1)\n", ("to have 3 channels, but got 16 channels instead",)
    ),
}
"""Mistakes in heads, by name."""
