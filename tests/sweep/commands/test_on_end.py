"""Notification at the end of a sweep: a command, or a POST to a real server on loopback."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import typer
from exeunt.specs import SpecError
from exeunt.sweep.commands import _on_end
from exeunt.sweep.commands._on_end import notifying, shown


class Webhook(BaseHTTPRequestHandler):
    """Server that keeps each request and answers with the next status of its list."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, self.headers["Content-Type"], json.loads(body)))
        self.send_response(self.server.statuses.pop(0))
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_): ...


@pytest.fixture
def webhook(monkeypatch):
    """Return a function that starts a server with the statuses of its answers."""
    monkeypatch.setattr(_on_end, "RETRY_DELAY_S", 0.0)

    @contextmanager
    def started(*statuses):
        server = HTTPServer(("127.0.0.1", 0), Webhook)
        server.received, server.statuses = [], list(statuses)
        server.address = f"http://127.0.0.1:{server.server_port}/services/SECRET?token=HUSH"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    return started


def test_a_post_has_name_storage_state_and_counts(webhook, plan, store, trained):
    trained(plan.trials[0])
    warnings = []
    with webhook(204) as server, notifying(server.address, plan, store, warnings.append):
        pass
    ((path, kind, event),) = server.received
    assert (path, kind) == ("/services/SECRET?token=HUSH", "application/json")
    assert event.pop("elapsed_s") >= 0
    assert event == {
        "name": "tiny",
        "storage": store.location,
        "state": "completed",
        "exit_status": 0,
        "error": "",
        "counts": {"done": 1, "waiting": len(plan.trials) - 1},
    }
    assert not warnings


@pytest.mark.parametrize(
    ("end", "state", "status"),
    [
        (typer.Exit(1), "failed trials", 1),
        (typer.Exit(3), "time budget used up", 3),
        (typer.Exit(4), "cost cap reached", 4),
        (typer.Exit(130), "interrupted", 130),
        (KeyboardInterrupt(), "interrupted", 130),
        (SpecError("no images at s3://KEY:SECRET@bucket"), "error", 2),
        (RuntimeError("broken"), "error", 2),
    ],
)
def test_each_end_has_its_state_and_the_exception_is_kept(webhook, plan, store, end, state, status):
    with webhook(200) as server, pytest.raises(type(end)) as raised:  # noqa: SIM117
        with notifying(server.address, plan, store, pytest.fail):
            raise end
    assert raised.value is end
    event = server.received[0][2]
    assert (event["state"], event["exit_status"]) == (state, status)
    assert "SECRET" not in event["error"]


@pytest.mark.parametrize(
    ("statuses", "requests", "warned"),
    [
        ((500, 200), 2, None),
        ((500, 503), 2, "HTTP status 503"),
        ((404, 404), 2, "HTTP status 404"),
        ((302, 302), 2, "HTTP status 302"),
    ],
)
def test_a_post_is_retried_once_and_a_failure_is_a_warning_without_secrets(
    webhook, plan, store, statuses, requests, warned
):
    warnings = []
    with webhook(*statuses) as server, notifying(server.address, plan, store, warnings.append):
        pass
    assert len(server.received) == requests
    host = "--on-end http://127.0.0.1/***"
    assert warnings == ([f"{host}: {warned}. The sweep itself is not affected."] if warned else [])


def test_a_server_that_is_gone_or_silent_is_a_warning(webhook, plan, store, monkeypatch):
    with webhook() as server:
        pass
    warnings = []
    with notifying(server.address, plan, store, warnings.append):
        pass
    monkeypatch.setattr(_on_end, "POST_TIMEOUT_S", 0.05)
    with HTTPServer(("127.0.0.1", 0), Webhook) as silent:  # it accepts and never answers
        address = f"http://user:SECRET@127.0.0.1:{silent.server_port}/SECRET"
        with notifying(address, plan, store, warnings.append):
            pass
    assert len(warnings) == 2
    assert "refused" in warnings[0]
    assert not any("SECRET" in warning for warning in warnings)


def test_a_command_gets_json_and_variables(plan, store, tmp_path):
    command = f'cat > "{tmp_path}/event"; echo "$EXEUNT_NAME $EXEUNT_STATE $EXEUNT_STORAGE" > "{tmp_path}/variables"'
    with pytest.raises(typer.Exit), notifying(command, plan, store, pytest.fail):
        raise typer.Exit(1)
    assert json.loads((tmp_path / "event").read_text())["state"] == "failed trials"
    assert (tmp_path / "variables").read_text().strip() == f"tiny failed trials {store.location}"


@pytest.mark.parametrize(
    ("command", "reason"),
    [("exit 7", "status 7"), ("no-such-program 2> /dev/null", "status 127"), ("exec sleep 60", "within 0.2 s")],
)
def test_a_command_that_fails_or_hangs_is_a_warning(plan, store, monkeypatch, command, reason):
    monkeypatch.setattr(_on_end, "COMMAND_TIMEOUT_S", 0.2)
    warnings = []
    with notifying(command, plan, store, warnings.append):
        pass
    assert len(warnings) == 1
    assert reason in warnings[0]


@pytest.mark.parametrize("target", ["", " ", "http://", "https:///path", "http://host/a b"])
def test_an_invalid_target_is_refused_before_anything_starts(plan, store, target):
    with pytest.raises(SpecError, match="on-end"), notifying(target, plan, store, pytest.fail):
        pytest.fail("it must not start")


def test_without_a_target_nothing_is_called(plan, store):
    with notifying(None, plan, store, pytest.fail):
        pass


def test_an_address_is_shown_by_its_host():
    assert shown("https://user:pass@hooks.example/services/T1/SECRET?x=1") == "https://hooks.example/***"
    assert shown("notify https://a:b@host") == "notify https://***@host"


@pytest.mark.slow
def test_a_sweep_notifies_at_its_end(webhook, tmp_path, exeunt):
    file = tmp_path / "small.yaml"
    file.write_text(
        "name: small\ndataset: digits@10%\narchitectures: [resnet8]\nseeds: [0]\n"
        "recipe: {base: fast, epochs: 1, batch_size: 64}\nmethods: {baseline: {}}\n"
    )
    with webhook(200, 500, 500) as server:
        words = "sweep", file, "--storage", tmp_path / "storage", "--on-end", server.address
        assert exeunt(*words).status == 0
        assert server.received[0][2]["counts"] == {"done": 1}
        again = exeunt(*words)
    assert (again.status, len(server.received)) == (0, 3)
    assert "HTTP status 500" in again.err
    assert "SECRET" not in again.out + again.err
