"""Record of a trial that was stopped early: `pruned.json`, with the rule that stopped it.

Sweeps with the same rule treat the trial as ended. Others resume it from its checkpoint.
"""

import json
from typing import TYPE_CHECKING

from ...training import Folder

if TYPE_CHECKING:
    from ..planning.stopping import Stopping

FILE = "pruned.json"


def write_pruned(folder: Folder, stopping: "Stopping", *, epoch: int, epochs: int) -> None:
    """Record that a rule stopped the trial in this directory after an epoch."""
    reason = f"stopped by {stopping.rule} after epoch {epoch} of {epochs}"
    folder.write(FILE, (json.dumps({"stopping": stopping.to_dict(), "epoch": epoch, "reason": reason}) + "\n").encode())


def reason_pruned(folder: Folder, stopping: "Stopping") -> str | None:
    """Return the reason why a rule stopped the trial in this directory; None if the trial has to be trained further."""
    try:
        pruned = json.loads(folder.read(FILE) or b"null")
        return pruned["reason"] if pruned and pruned["stopping"] == stopping.to_dict() else None
    except (ValueError, LookupError, TypeError):  # damaged: the rule is applied again
        return None
