"""Tests of the content of the page, without a browser."""

import base64
import hashlib
import re

import pytest
from exeunt.results.report import Origin, report
from exeunt.results.report.environment import environment
from exeunt.results.report.links import experiment_url, run_url
from exeunt.specs import SpecError

pytestmark = pytest.mark.slow


def test_the_same_store_gives_the_same_bytes_whatever_the_order(html, sweep, origin):
    frame, history = (rows.sample(frac=1, random_state=3) for rows in (sweep.frame(), sweep.history()))
    assert report(frame[sorted(frame.columns, reverse=True)], history, origin) == html


def test_nothing_but_the_page_itself_may_run(html):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    said = dict(part.strip().split(" ", 1) for part in policy[1].replace("&#39;", "'").split(";"))
    assert said["default-src"] == "'none'"
    assert said["img-src"] == "data:"
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert content
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert said[directive] == f"'sha256-{digest}'"
    assert html.index("Content-Security-Policy") < html.index("<style>") < html.index("<script>")
    assert not re.search(r"@import|url\(|<link [^>]*href=\"(?!data:,)", html)


def test_every_number_of_the_main_table_leads_to_its_trials(html, sweep):
    table = re.search(r'<section class="grid" id="table-0-main">.*?</section>', html, re.DOTALL)
    assert table
    body, foot = table[0].split("<tfoot>")
    linked = [
        re.findall(r'<a class="number-link" href="#([^"]*)" data-trials="([^"]*)"', part) for part in (body, foot)
    ]
    places = {}
    for trial in sweep.trials:
        if trial["role"] == "result":
            settings = (trial.get("param.method.temperature"), trial.get("param.exits.placement"))
            places.setdefault((trial["architecture"], trial["method"], settings), []).append(f"trial-{trial['key']}")
    assert sorted(behind.split() for _, behind in linked[0]) == sorted(places.values())
    assert all(first == behind.split()[0] for first, behind in linked[0])
    assert len(linked[1]) == 5
    assert all(len(behind.split()) == 12 for _, behind in linked[1])
    rows = re.findall(r'<tr id="(trial-[^"]*)"', html)
    assert rows == [f"trial-{trial['key']}" for trial in sweep.trials]
    for trial in sweep.trials:
        assert f'href="https://mlflow.example.org/#/experiments/7/runs/{trial["run_id"]}"' in html
        assert f"trials/{trial['key']}" in html


def test_kinds_that_are_there_and_one_line_for_those_that_are_not(html, new_sweep):
    for name in (
        "Comparison of methods",
        "Accuracy by exit",
        "Distillation from a teacher",
        "Convergence",
        "Stability",
    ):
        assert re.search(rf'<h3 id="[^"]*">{name}</h3>', html)
    assert "eed, temperature against exits" in html
    assert "<li>Published results: no published results for " in html
    alone = new_sweep()
    alone.seeds("baseline", 80.0, 81.0)
    page = alone.report()
    assert "<li>Distillation from a teacher: no method of this sweep has a teacher.</li>" in page
    assert "<li>Ablation: no method has several values of two settings.</li>" in page
    assert "All recorded trials have a result." in page
    assert '<select id="architecture">' not in page


def test_rows_of_every_table_of_architectures_are_filtered(html):
    for grid in re.findall(r'<section class="grid" id="table-\d+-(\w[\w-]*)">.*?<tbody>(.*?)</tbody>', html, re.DOTALL):
        kind, body = grid
        rows = re.findall(r"<tr[^>]*>", body)
        assert all("data-architecture" in row for row in rows), kind


def test_how_it_was_made(html, sweep):
    assert "<pre>exeunt sweep made-up.yaml --storage runs\n</pre>" in html
    assert "<pre>name: made-up\nseeds: [0, 1, 2]</pre>" in html
    assert "<dt>PyTorch</dt><dd>2.15.0</dd>" in html
    assert "the loss was nan in epoch 3" in html
    other = sweep.frame()
    other.loc[[0, 1], "environment.device"] = "a GPU"
    devices = next(one for one in environment(other) if one.name == "Device")
    assert devices.values == (f"a CPU ({len(other) - 2} trials)", "a GPU (2 trials)")


def test_a_sweep_that_has_only_begun(new_sweep):
    made = new_sweep()
    made.trial("baseline", None, state="running")
    page = made.report(planned=3)
    assert "0 of 3 planned trials completed; 1 running, 2 not started." in page
    assert "No figures: " in page


def test_a_search_that_is_not_confirmed(new_sweep):
    made = new_sweep()
    for seed in range(2):
        made.trial("eed", None, role="search", seed=seed, **{"validation/final/top1": 70.0 + seed})
    page = made.report()
    assert "There is nothing to compare yet." in page
    assert "2 trials are trained to tune a method" in page
    assert "70.00" in page


def test_a_search_that_is_confirmed(new_sweep):
    made = new_sweep()
    budget = {"budget": "4 trials by tpe", "tried": "4 complete, 0 pruned, 0 failed"}
    made.seeds("baseline", 80.0, 80.5, 80.2, tuning="default and tuned", **budget)
    made.seeds("eed", 80.5, 80.9, 81.0, tuning="default", method__temperature="1", exits__placement="all", **budget)
    made.seeds("eed", 82.5, 82.3, 82.9, tuning="tuned", method__temperature="3", exits__placement="1", **budget)
    page = made.report()
    assert "<li>The comparison uses the tuned settings of the search" in page
    assert "eed is 2.33 percentage points above baseline over 3 pairs of seeds" in page
    assert page.count('<tr id="trial-') == 9


def test_nothing_recorded_is_one_message(sweep):
    with pytest.raises(SpecError, match="nothing to report: no trial of this sweep is recorded yet"):
        report(sweep.frame().iloc[:0], sweep.history(), Origin(storage="runs"))


def test_addresses(tmp_path):
    assert run_url("https://host/#/experiments/7", "ab/c") == "https://host/#/experiments/7/runs/ab%2Fc"
    assert run_url("", "ab") == ""
    assert run_url("javascript:alert(1)//", "ab") == ""
    assert experiment_url(f"sqlite:///{tmp_path}/mlflow.db", "made-up") == ""
