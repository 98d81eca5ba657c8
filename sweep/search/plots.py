"""The figures of a search: Optuna's own, for print as PDF, for a look as PNG, and interactive on a page."""

import dataclasses
import html
import io
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import optuna
import plotly.graph_objects as go
import plotly.offline
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from optuna.exceptions import ExperimentalWarning
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.search_space import intersection_search_space
from optuna.trial import FrozenTrial, TrialState

from ...results.figures.style import COLORS, MARGIN, PRINT
from ...training.folder import LocalFolder
from .drawing import Drawing, tidy

PAGE = "figures.html"
SEED = 0
"""Of the random forest from which fANOVA tells the importance of parameters."""
CONTOURED = 5
"""Parameters whose pairs are drawn at most: the most important ones."""
STYLE: dict[Any, Any] = PRINT | {"figure.constrained_layout.use": True, "savefig.dpi": 150}


@dataclass(frozen=True, kw_only=True)
class _Objective:
    """One of the values that a study optimises."""

    name: str
    suffix: str
    """What its figures' names end with, where there are several objectives."""
    target: Callable[[FrozenTrial], float] | None
    """Its value of a trial; None if it is the only one."""
    trials: list[FrozenTrial]
    """Those that have finished with a number."""

    @property
    def values(self) -> set[float]:
        """All that it was."""
        return {_value(self, trial) for trial in self.trials}

    @property
    def parameters(self) -> list[str]:
        """Those with more than one value, in the order of their names."""
        values: dict[str, set[Any]] = {}
        for trial in self.trials:
            for name, value in trial.params.items():
                values.setdefault(name, set()).add(value)
        return sorted(name for name, found in values.items() if len(found) > 1)


def write_figures(study: optuna.Study, folder: Path) -> list[Path]:
    """Draws what can be drawn of a study so far, and returns the paths of what was written.

    Every figure is written as PDF and as PNG, and all together as one page for browsers, which loads nothing from
    elsewhere. The same study gives the same files. Raises `StorageError` where they cannot be written.

    Args:
        study: of one objective or of several; unfinished trials may be among its trials.
        folder: need not exist yet. A file of a figure that cannot be drawn is left as it is.
    """
    files: dict[str, bytes] = {}
    sections: list[str] = []
    with _undisturbed():
        for drawing in _drawings(study):
            with _printed(study, drawing) as figure:
                _lay_out(figure)
                area = figure.get_tightbbox().padded(MARGIN)
                files[f"{drawing.name}.pdf"] = _saved(figure, area, format="pdf", metadata={"CreationDate": None})
                files[f"{drawing.name}.png"] = _saved(figure, area, format="png")
            sections.append(_section(study, drawing))
    if sections:
        files[PAGE] = _page(study, sections).encode()
    for name, content in files.items():
        LocalFolder(folder).write(name, content)
    return [folder / name for name in files]


def _drawings(study: optuna.Study) -> Iterator[Drawing]:
    """All for which there is enough in the study."""
    trials = study.get_trials(deepcopy=False)
    if 2 <= len(study.directions) <= 3 and any(trial.state == TrialState.COMPLETE for trial in trials):
        names = [objective.name for objective in _objectives(study)]
        arguments = {"target_names": names}
        yield Drawing(name="pareto", heading="Pareto front", function="plot_pareto_front", arguments=arguments)
    if any(trial.intermediate_values for trial in trials if trial.state not in (TrialState.FAIL, TrialState.WAITING)):
        heading = "Intermediate values"
        yield Drawing(name="intermediate", heading=heading, function="plot_intermediate_values", arguments={})
    for objective in _objectives(study):
        yield from _drawings_of(objective, study)


def _drawings_of(objective: _Objective, study: optuna.Study) -> Iterator[Drawing]:
    if not objective.trials:
        return

    def drawing(name: str, heading: str, function: str, parameters: int = 0, **arguments: Any) -> Drawing:
        return Drawing(
            name=name + objective.suffix,
            heading=f"{heading}: {objective.name}",
            function=function,
            arguments={"target": objective.target, "target_name": objective.name, **arguments},
            parameters=parameters,
        )

    yield drawing("history", "History", "plot_optimization_history")
    if common := _assessable(objective, study):
        evaluator = FanovaImportanceEvaluator(seed=SEED)
        yield drawing(
            "importance", "Importance", "plot_param_importances", len(common), evaluator=evaluator, params=common
        )
    if parameters := objective.parameters:
        yield drawing("slice", "Slices", "plot_slice", len(parameters), params=parameters)
    if len(parameters) > 1:
        chosen = _most_important(objective, study)
        contours = drawing("contour", "Contours", "plot_contour", len(chosen), params=chosen)
        yield dataclasses.replace(contours, limits=(min(objective.values), max(objective.values)))


def _objectives(study: optuna.Study) -> list[_Objective]:
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    several = len(study.directions) > 1
    names = study.metric_names or [
        f"objective {i + 1}" if several else "objective" for i in range(len(study.directions))
    ]
    return [
        _Objective(
            name=name,
            suffix=f"_{index + 1}" if several else "",
            target=_reader(index) if several else None,
            trials=[trial for trial in finished if math.isfinite(trial.values[index])],
        )
        for index, name in enumerate(names)
    ]


def _reader(index: int) -> Callable[[FrozenTrial], float]:
    return lambda trial: trial.values[index]


def _value(objective: _Objective, trial: FrozenTrial) -> float:
    return trial.values[0] if objective.target is None else objective.target(trial)


def _assessable(objective: _Objective, study: optuna.Study) -> list[str]:
    """The parameters that fANOVA can assess: every finished trial has them, and they and the objective vary."""
    if len(objective.values) < 2:
        return []
    common = intersection_search_space(study.get_trials(deepcopy=False))
    return [name for name in objective.parameters if name in common]


def _most_important(objective: _Objective, study: optuna.Study) -> list[str]:
    parameters = objective.parameters
    if len(parameters) <= CONTOURED:
        return parameters
    ranked: list[str] = []
    if common := _assessable(objective, study):
        evaluator = FanovaImportanceEvaluator(seed=SEED)
        ranked = list(get_param_importances(study, evaluator=evaluator, params=common, target=objective.target))
    return [*ranked, *(name for name in parameters if name not in ranked)][:CONTOURED]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Inside, nothing is shown or said; afterwards matplotlib's settings and Optuna's log are as they were."""
    verbosity = optuna.logging.get_verbosity()
    backend = mpl.get_backend(auto_select=False)
    with mpl.rc_context(), warnings.catch_warnings():
        # Optuna's figures by matplotlib are experimental, and a font may lack a letter of a name.
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.simplefilter("ignore", UserWarning)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        mpl.rcdefaults()
        mpl.use("agg")
        try:
            yield
        finally:
            optuna.logging.set_verbosity(verbosity)
            if backend is not None:
                mpl.use(backend, force=False)


@contextmanager
def _printed(study: optuna.Study, drawing: Drawing) -> Iterator[Figure]:
    """The figure by matplotlib, which is closed afterwards."""
    before = plt.get_fignums()
    with mpl.rc_context(STYLE):
        try:
            axes = getattr(optuna.visualization.matplotlib, drawing.function)(study, **drawing.arguments)
            figure = np.ravel(axes)[0].figure
            tidy(figure, drawing)
            yield figure
        finally:
            for number in set(plt.get_fignums()).difference(before):
                plt.close(number)


def _lay_out(figure: Figure) -> None:
    """Finds the place of everything once, which costs as much as to draw it, and not for each file."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def _saved(figure: Figure, area: Bbox, **arguments: Any) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, bbox_inches=area, **arguments)
    return content.getvalue()


def _section(study: optuna.Study, drawing: Drawing) -> str:
    """The figure by plotly, as a part of the page."""
    figure: go.Figure = getattr(optuna.visualization, drawing.function)(study, **drawing.arguments)
    figure.update_layout(colorway=COLORS)
    if drawing.function == "plot_contour":
        figure.update_layout(height=max(450, 240 * drawing.parameters))
        low, high = drawing.limits or (None, None)
        figure.update_traces(zmin=low, zmax=high, selector={"type": "contour"})
    shown = figure.to_html(
        full_html=False, include_plotlyjs=False, div_id=drawing.name, config={"displaylogo": False, "responsive": True}
    )
    return f"<h2>{html.escape(drawing.heading)}</h2>\n{shown}"


def _page(study: optuna.Study, sections: list[str]) -> str:
    name = html.escape(study.study_name)
    body = "\n".join(sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{name}</title>
<style>body {{font-family: sans-serif; margin: 2em; overflow-x: auto}}</style>
<script>{plotly.offline.get_plotlyjs()}</script>
</head>
<body>
<h1>{name}</h1>
{body}
</body>
</html>
"""
