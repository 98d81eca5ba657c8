"""Notification at the end of a command that trains: a command, or an HTTP POST to an address."""

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import typer

from ...specs import SpecError, masked, require_uri
from ...specs.uri import HIDDEN
from ...store import Plan, Store
from ._exit import CAPPED, INTERRUPTED, OUT_OF_TIME

COMMAND_TIMEOUT_S = 60.0
POST_TIMEOUT_S = 10.0
RETRY_DELAY_S = 1.0
"""Seconds before the only retry of a POST."""
STATES = {
    0: "completed",
    1: "failed trials",
    OUT_OF_TIME: "time budget used up",
    CAPPED: "cost cap reached",
    INTERRUPTED: "interrupted",
}
"""State of a sweep by the exit status of its command; any other status is `error`."""


@contextmanager
def notifying(target: str | None, plan: Plan, store: Store, warn: Callable[[str], object]) -> Iterator[None]:
    """Run the command or send the POST when the code inside ends, with or without an exception.

    A notification that fails is a warning. It changes neither the exit status nor the exception.

    Args:
        target: Command or address; None for no notification.
        plan: Plan of the sweep.
        store: Storage of the sweep.
        warn: Function that is called with the warning.

    Raises:
        SpecError: before the code inside runs, for an invalid address.
    """
    if target is None:
        yield
        return
    _check(target)
    started, status, problem = time.monotonic(), 0, ""
    try:
        yield
    except typer.Exit as end:
        status = end.exit_code
        raise
    except KeyboardInterrupt:
        status = INTERRUPTED
        raise
    except BaseException as error:
        status, problem = 2, masked(str(error)) or type(error).__name__
        raise
    finally:
        try:
            _notify(target, _event(plan, store, status, problem, time.monotonic() - started))
        except Exception as error:
            warn(f"--on-end {shown(target)}: {_reason(error)}. The sweep itself is not affected.")


def shown(target: str) -> str:
    """Return a command without credentials, or the host of an address: its path may be a secret."""
    return f"{urlsplit(target).scheme}://{urlsplit(target).hostname}/{HIDDEN}" if _is_url(target) else masked(target)


def _is_url(target: str) -> bool:
    return target.lower().startswith(("http://", "https://"))


def _check(target: str) -> None:
    if not target.strip():
        raise SpecError("--on-end is empty; give a command, or an address http(s)://HOST/PATH.", field="on-end")
    if _is_url(target):
        require_uri(target, "on-end")
        try:
            host = urlsplit(target).hostname
        except ValueError:
            host = None
        if not host:
            raise SpecError("--on-end: the address has no host; write it as http(s)://HOST/PATH.", field="on-end")


def _event(plan: Plan, store: Store, status: int, problem: str, seconds: float) -> dict[str, Any]:
    current = store.plan(plan.name) if store.has_plan(plan.name) else plan  # a search adds trials
    progress = store.progress_of((trial.key for trial in current.trials), plan.stopping)
    return {
        "name": plan.name,
        "storage": store.location,
        "state": STATES.get(status, "error"),
        "exit_status": status,
        "error": problem,
        "counts": dict(Counter(one.state for one in progress.values())),
        "elapsed_s": round(seconds, 1),
    }


def _notify(target: str, event: dict[str, Any]) -> None:
    content = json.dumps(event)
    if not _is_url(target):
        variables = {"EXEUNT_NAME": event["name"], "EXEUNT_STORAGE": event["storage"], "EXEUNT_STATE": event["state"]}
        # The user's own command line, as in a crontab.
        subprocess.run(
            target,
            shell=True,
            check=True,
            input=content.encode(),
            env={**os.environ, **variables},
            timeout=COMMAND_TIMEOUT_S,
        )
        return
    request = Request(target, data=content.encode(), headers={"Content-Type": "application/json"}, method="POST")
    opener = build_opener(_NoRedirect)
    try:
        opener.open(request, timeout=POST_TIMEOUT_S).close()
    except (OSError, HTTPException):
        time.sleep(RETRY_DELAY_S)
        opener.open(request, timeout=POST_TIMEOUT_S).close()


def _reason(error: Exception) -> str:
    """Return why a notification failed, without the command or the address, which may contain secrets."""
    match error:
        case subprocess.CalledProcessError():
            return f"the command ended with status {error.returncode}"
        case subprocess.TimeoutExpired():
            return f"the command did not end within {COMMAND_TIMEOUT_S:g} s"
        case HTTPError():
            return f"HTTP status {error.code}"
        case URLError():
            return str(error.reason)
        case OSError():
            return error.strerror or str(error)
    return type(error).__name__


class _NoRedirect(HTTPRedirectHandler):
    """Handler that makes a redirect an error, since it would turn the POST into a GET."""

    def redirect_request(self, *_: Any, **__: Any) -> None: ...
