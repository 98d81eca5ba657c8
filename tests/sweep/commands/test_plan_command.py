import json

import pytest


@pytest.fixture
def file(good, tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(good.replace("[resnet8, resnet14]", "[resnet8]"))
    return path


@pytest.mark.slow
def test_a_plan_as_json_is_one_object_and_nothing_else(exeunt, file, tmp_path):
    plain = exeunt("plan", file, "--storage", tmp_path, "--json")
    said = json.loads(plain.stdout)
    assert (plain.returncode, plain.stderr) == (0, "")
    assert said["trials"] == sum(row["total"]["trials"] for row in said["rows"]) == 2 * (1 + 2 + 6) + 1
    assert said["total"]["device_hours"] is None
    assert said["device"] is None
    measured = exeunt("plan", file, "--storage", tmp_path, "--json", "--measure")
    said = json.loads(measured.stdout)
    assert said["total"]["device_hours"] > 0
    assert said["device"] == "cpu, 1 thread"
    assert all(row["total"]["device_hours"] > 0 for row in said["rows"])
    assert not (tmp_path / "trials").exists()
