import json

import pytest


@pytest.fixture
def file(good, tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(good.replace("[resnet8, resnet14]", "[resnet8]"))
    return path


@pytest.mark.slow
def test_a_plan_as_json_is_one_object_and_nothing_else(run, file, tmp_path):
    plain = run("plan", file, "--storage", tmp_path, "--json")
    said = json.loads(plain.out)
    assert (plain.status, plain.err) == (0, "")
    assert said["trials"] == sum(row["total"]["trials"] for row in said["rows"]) == 2 * (1 + 2 + 6) + 1
    assert said["total"]["device_hours"] is None
    assert said["device"] is None
    measured = run("plan", file, "--storage", tmp_path, "--json", "--measure")
    said = json.loads(measured.out)
    assert said["total"]["device_hours"] > 0
    assert said["device"] == "cpu, 1 thread"
    assert all(row["total"]["device_hours"] > 0 for row in said["rows"])
    assert not (tmp_path / "trials").exists()


@pytest.mark.slow
def test_device_hours_are_measured_or_assumed_but_not_both(run, file, tmp_path):
    said = json.loads(run("plan", file, "--storage", tmp_path, "--json", "--throughput", "1e9").out)
    assert said["total"]["device_hours"] == pytest.approx(said["total"]["multiply_adds"] / 1e9 / 3600)
    assert said["device"] == "1e+09 multiply-adds a second"
    both = run("plan", file, "--storage", tmp_path, "--throughput", "1e9", "--measure")
    assert (both.status, both.out) == (2, "")
    assert both.err == "exeunt: --throughput 1e+09: cannot be combined with --measure; give one of the two.\n"
