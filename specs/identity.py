"""Identity of trials: a configuration is everything that is compared, and a trial is a configuration with a seed."""

import re
from collections.abc import Mapping
from typing import Any

from .spec import content_key

KEY = re.compile("[0-9a-f]{16}-s[0-9]+")
"""Form of a trial's key."""


def configuration_id(spec: Mapping[str, Any]) -> str:
    """Return the content hash of a trial's canonical spec without its seed, 16 hexadecimal digits."""
    return content_key({name: value for name, value in spec.items() if name != "seed"})


def with_images(spec: Mapping[str, Any], location: Mapping[str, str]) -> dict[str, Any]:
    """Return a trial's spec with the paths of the images in its folder, which are not part of its identity."""
    dataset = spec["dataset"]
    return {**spec, "dataset": {**dataset, "folder": {**dataset["folder"], **location}}} if location else dict(spec)


def trial_key(spec: Mapping[str, Any]) -> str:
    """Return the key of the trial with this canonical spec: `CONFIGURATION-sSEED`."""
    return f"{configuration_id(spec)}-s{spec['seed']}"
