"""What a method minimises: tensors in, named loss terms out.

>>> from exeunt.losses import methods
>>> loss = methods["eed"](output_loss="kl").build(exits=4)
"""

from .baseline import Baseline
from .eed import EED
from .final_target import FinalTarget
from .kd import KD
from .method import Loss, LossInputs, Method, Need, methods

__all__ = ["EED", "KD", "Baseline", "FinalTarget", "Loss", "LossInputs", "Method", "Need", "methods"]
