"""What a method minimises: tensors in, named loss terms out.

>>> from exeunt.losses import NetworkShape, methods
>>> loss = methods["eed"](output_loss="kl").build(NetworkShape(exits=4, classes=100, width=512))
"""

from .baseline import Baseline
from .eed import EED
from .final_target import FinalTarget
from .kd import KD
from .method import Loss, LossInputs, Method, Need, NetworkShape, methods

__all__ = ["EED", "KD", "Baseline", "FinalTarget", "Loss", "LossInputs", "Method", "Need", "NetworkShape", "methods"]
