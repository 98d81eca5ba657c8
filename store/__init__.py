"""The trial store: files that appear whole or not at all, attempts at trials, leases of sweeps.

>>> from exeunt.store import Store
>>> Store("runs").trial("9f2c41d07ab35e88-s0").result()
"""

from .checkpoints import CheckpointFiles, digest
from .directory import Directory, FileInfo, LocalDirectory, StorageError, WriteGuard
from .fencing import StaleAttemptError, TrialBusyError, living_attempt, newest_attempt
from .lease import SweepLockedError, hold_lease, lease_owner, require_driver
from .plan import Configuration, CostUnit, Margins, Plan, PlannedTrial, Price, Role, SearchRecord, TuningInfo
from .plan_record import SWEEP_FILE
from .plugins import PLUGINS, Plugin, keep_plugins, kept_plugins
from .records import DamagedFileError, NewerFormatError, Record
from .trial_files import EARLY_EXIT_FILE, WEIGHTS, TrialFiles
from .trial_store import ENDED, Progress, State, Store

__all__ = [
    "EARLY_EXIT_FILE",
    "ENDED",
    "PLUGINS",
    "SWEEP_FILE",
    "WEIGHTS",
    "CheckpointFiles",
    "Configuration",
    "CostUnit",
    "DamagedFileError",
    "Directory",
    "FileInfo",
    "LocalDirectory",
    "Margins",
    "NewerFormatError",
    "Plan",
    "PlannedTrial",
    "Plugin",
    "Price",
    "Progress",
    "Record",
    "Role",
    "SearchRecord",
    "StaleAttemptError",
    "State",
    "StorageError",
    "Store",
    "SweepLockedError",
    "TrialBusyError",
    "TrialFiles",
    "TuningInfo",
    "WriteGuard",
    "digest",
    "hold_lease",
    "keep_plugins",
    "kept_plugins",
    "lease_owner",
    "living_attempt",
    "newest_attempt",
    "require_driver",
]
