"""Distillation methods: settings, and losses that map tensors to named loss terms.

`functional` has the loss functions for your own training loop. PyTorch is imported when a loss is built or computed.

>>> from exeunt.losses import NetworkShape, methods
>>> loss = methods["eed"](output_loss="kl").build(NetworkShape(exits=4, classes=100, feature_dim=512))
"""

from typing import TYPE_CHECKING

from ..specs.lazy import lazy_exports
from .at import AT
from .baseline import Baseline
from .beed import BEED
from .byot import BYOT
from .crd import CRD
from .cs_kd import CSKD
from .dbt import DistillationBasedTraining
from .deep_supervision import DeepSupervision
from .dist import DIST
from .dkd import DKD
from .dks import DKS
from .dml import DML
from .eed import EED
from .final_target import FinalTarget
from .fitnet import FitNet
from .jei_dnn import JEIDNN
from .kd import KD
from .kdcl import KDCL
from .label_smoothing import LabelSmoothing
from .method import Learned, LossInputs, Method, NetworkShape, Requirement, TeacherRequirement, method, methods
from .mlkd import MLKD
from .nkd import NKD
from .one import ONE
from .ps_kd import PSKD
from .review_kd import ReviewKD
from .rkd import RKD
from .sdn import ShallowDeep
from .sp import SP
from .tf_kd_reg import TfKDReg
from .tf_kd_self import TfKDSelf

if TYPE_CHECKING:
    from .module import Loss

__getattr__, __dir__ = lazy_exports(__name__, {"Loss": ".module"})

__all__ = [
    "AT",
    "BEED",
    "BYOT",
    "CRD",
    "CSKD",
    "DIST",
    "DKD",
    "DKS",
    "DML",
    "EED",
    "JEIDNN",
    "KD",
    "KDCL",
    "MLKD",
    "NKD",
    "ONE",
    "PSKD",
    "RKD",
    "SP",
    "Baseline",
    "DeepSupervision",
    "DistillationBasedTraining",
    "FinalTarget",
    "FitNet",
    "LabelSmoothing",
    "Learned",
    "Loss",
    "LossInputs",
    "Method",
    "NetworkShape",
    "Requirement",
    "ReviewKD",
    "ShallowDeep",
    "TeacherRequirement",
    "TfKDReg",
    "TfKDSelf",
    "method",
    "methods",
]
