import json

import pytest
from exeunt.store import (
    Configuration,
    DamagedFileError,
    Margins,
    NewerFormatError,
    Plan,
    PlannedTrial,
    Plugin,
    SearchRecord,
    TuningInfo,
)
from hypothesis import given
from hypothesis import strategies as st

from .conftest import SPEC
from .test_records import JSON, changed

STUDENT = {name: value for name, value in SPEC.items() if name != "seed"} | {"teacher": SPEC}


def configuration(spec, **fields):
    seedless = {name: value for name, value in spec.items() if name != "seed"}
    return Configuration(spec=seedless, reported="last epoch on test", cost=1e9, **fields)


TEACHER = PlannedTrial(configuration=configuration(SPEC, seeds=2), seed=0, role="teacher", order=0)
TAUGHT = configuration(
    STUDENT, settings=("temperature=4",), row_settings=("epochs=2",), seeds=2, exits="all", weights="/w.pt",
    images={"train": "/birds/train", "test": "/birds/test"}, backbone=TEACHER.configuration.id,
)  # fmt: skip
TRIALS = (
    TEACHER,
    PlannedTrial(configuration=TAUGHT, seed=1, role="result", order=1, seed_index=1),
    PlannedTrial(configuration=TAUGHT, seed=2, role="search", order=2, tried="temperature 4"),
)
PLAN = Plan(
    name="s",
    search=SearchRecord(budget=9, seconds=None, scoring="by tpe", studies=None, spaces={"s/kd/resnet8/1f": "kd"}),
    text="name: s  # ü\n",
    plugins=(Plugin(name="own.py", source="# a method\n"),),
    stopping={"rule": "median"},
    trials=TRIALS,
    coming=(
        (
            PlannedTrial(
                configuration=TAUGHT, seed=5, role="result", order=3,
                confirmed=TuningInfo(tuning="tuned", budget="9 trials", tried="8 done, 1 failed"),
            ),
            3,
        ),
    ),
    margins=Margins(detect=0.5, equivalent=0.3),
)  # fmt: skip


def test_a_plan_is_read_as_it_was_saved(store):
    store.save_sweep(PLAN)
    assert store.plan("s") == PLAN
    assert [trial.key for trial in store.plan("s").trials] == [trial.key for trial in TRIALS]
    assert store.plan("s").trials[1].depends_on == (TEACHER.key, f"{TEACHER.configuration.id}-s1")
    assert store.sweeps() == ["s"]


def test_a_plan_without_margins_is_read(store):
    store.save_sweep(PLAN)
    older = record(store)
    del older["margins"]
    (store.sweep_directory("s").path / "plan.json").write_text(json.dumps(older))
    assert store.plan("s").margins == Margins()


def record(store):
    return json.loads(store.sweep_directory("s").read("plan.json"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda plan: plan | {"name": "t"}, "it belongs to sweep t"),
        (lambda plan: plan | {"configurations": {}}, "a trial has the unknown configuration"),
        (
            lambda plan: plan | {"configurations": dict.fromkeys("ab", next(iter(plan["configurations"].values())))},
            "is",
        ),
        (lambda plan: plan | {"trials": [{}]}, "missing or invalid: trials"),
        (lambda plan: plan | {"coming": plan["trials"]}, "missing or invalid: coming"),
        (lambda plan: plan | {"margins": plan["margins"] | {"detect": 0}}, "missing or invalid: margins"),
        (lambda plan: plan | {"search": {}}, "missing or invalid: search"),
        (lambda plan: plan | {"search": plan["search"] | {"spaces": [1]}}, "missing or invalid: search"),
    ],
)
def test_a_plan_that_contradicts_itself_is_damaged(store, change, reason):
    store.save_sweep(PLAN)
    path = store.sweep_directory("s").path / "plan.json"
    path.write_text(json.dumps(change(record(store))))
    with pytest.raises(DamagedFileError) as damage:
        store.plan("s")
    assert str(damage.value).startswith(f"{path} is damaged (")
    assert reason in str(damage.value)
    assert str(damage.value).endswith("Run the sweep again; it writes the file anew.")


@given(data=st.data())
def test_random_content_is_read_or_one_error(tmp_path_factory, data):
    from exeunt.store import Store

    store = Store(tmp_path_factory.getbasetemp() / "random-plans")
    store.save_sweep(PLAN)
    plan = record(store)
    path = store.sweep_directory("s").path / "plan.json"
    match data.draw(st.sampled_from(["plan", "trial", "coming", "configuration", "spec", "confirmed"])):
        case "plan":
            plan = data.draw(changed(plan) | JSON)
        case "trial" | "coming" as part:
            trials = plan["trials" if part == "trial" else "coming"]
            trials[0] = data.draw(changed(trials[0]) | JSON)
        case "confirmed":
            plan["coming"][0]["confirmed"] = data.draw(changed(plan["coming"][0]["confirmed"]) | JSON)
        case part:
            id = data.draw(st.sampled_from(sorted(plan["configurations"])))
            about = plan["configurations"][id]
            if part == "spec":
                about["spec"] = data.draw(changed(about["spec"]) | JSON)
            else:
                plan["configurations"][id] = data.draw(changed(about) | JSON)
    path.write_text(json.dumps(plan))
    try:
        found = store.plan("s")
    except (DamagedFileError, NewerFormatError) as error:
        problem = str(error)
    else:
        assert [str(trial) for trial in found.trials]
        assert [trial.depends_on for trial in found.trials]
        return
    assert problem.startswith(str(path))
