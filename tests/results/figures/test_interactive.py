"""Tests of the interactive figures, by the data that the page has for plotly."""

import json
import re

import pytest
from exeunt.results.figures.interactive import interactive


@pytest.fixture(scope="module")
def drawn(full):
    """Traces of each interactive figure, by the id of the figure."""
    page = interactive(full.frame, full.history)
    found = re.findall(r'Plotly\.newPlot\(\s*"([^"]*)",\s*(\[.*?\]),\s*\{"', page, re.DOTALL)
    return {name: json.loads(traces) for name, traces in found}


def test_each_configuration_is_a_trace_in_each_panel(full, drawn):
    traces = drawn["accuracy-by-epoch"]
    configurations = full.frame.groupby(
        ["architecture", "method", "param.method.temperature", "param.method.output_loss"], dropna=False
    )
    assert len(traces) == len(configurations) == 21
    assert sum(trace["showlegend"] for trace in traces) == 7
    assert {"accuracy-of-each-exit", "difference-from-the-baseline", "importance-of-the-axes"} < drawn.keys()


def test_parallel_coordinates_end_at_the_means(full, drawn):
    (lines,) = drawn["parallel-coordinates"]
    *axes, metric = lines["dimensions"]
    assert [axis["label"] for axis in axes] == ["architecture", "method", "output_loss", "temperature"]
    assert axes[0]["ticktext"] == ["resnet8", "resnet20", "vgg8"]
    own = full.frame.query("architecture == 'resnet20' and method == 'kd'")["test/final/top1"].mean()
    place = next(
        index
        for index, (row, method) in enumerate(zip(axes[0]["values"], axes[1]["values"], strict=True))
        if (axes[0]["ticktext"][row], axes[1]["ticktext"][method]) == ("resnet20", "kd")
    )
    assert metric["values"][place] == pytest.approx(own)


def test_hostile_names_are_texts(drawn):
    names = [trace["name"] for trace in drawn["accuracy-by-epoch"]]
    assert "$x_1^2$ %\\alpha &amp; &lt;b&gt;#{~}" in names
