"""What is kept of a trial that was stopped early: `pruned.json`, with the rule that stopped it.

Sweeps with the same rule take the trial as ended. Others train it further, from its checkpoint.
"""

import json
from typing import TYPE_CHECKING

from ...training import Folder

if TYPE_CHECKING:
    from ..planning.stopping import Stopping

FILE = "pruned.json"


def write_pruned(folder: Folder, stopping: "Stopping", *, epoch: int, epochs: int) -> None:
    """Records that a rule stopped the trial in this folder after an epoch."""
    reason = f"stopped by {stopping.rule} after epoch {epoch} of {epochs}"
    folder.write(FILE, (json.dumps({"stopping": stopping.to_dict(), "epoch": epoch, "reason": reason}) + "\n").encode())


def reason_pruned(folder: Folder, stopping: "Stopping") -> str | None:
    """Why the trial in this folder is not trained further under a rule; None if it is."""
    try:
        pruned = json.loads(folder.read(FILE) or b"null")
        return pruned["reason"] if pruned and pruned["stopping"] == stopping.to_dict() else None
    except (ValueError, LookupError, TypeError):  # damaged: the rule decides once more
        return None
