"""What Optuna tells and draws of a search: the score of every trial in its order, and which settings matter."""

import warnings
from collections.abc import Callable
from textwrap import fill
from typing import Any, NamedTuple

import optuna
from matplotlib import pyplot, style
from matplotlib.figure import Figure
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState
from optuna.visualization.matplotlib import plot_optimization_history, plot_param_importances

from rim.studies.sweeps.figures import draw_baselines
from rim.studies.sweeps.summary import Summary

LEAST_TRIALS = 8
"""Complete trials below which a forest has nothing to learn from."""


class Importances(NamedTuple):
    """The share of the variance between trials that each axis explains, the highest first; empty with the reason why.

    Source: F. Hutter, H. Hoos, K. Leyton-Brown, "An efficient approach for assessing hyperparameter importance", ICML
    2014 (functional ANOVA over a random forest). Of few trials it is a hint, not a measurement.
    """

    shares: dict[str, float]
    reason: str = ""


def importances(summary: Summary, study: optuna.Study | None) -> Importances:
    """Of complete trials only, with a fixed seed."""
    if study is None:
        return Importances({}, "the study is not at hand")
    values = [trial.value for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
    reason = _reason(summary, values)
    if reason:
        return Importances({}, reason)
    return Importances(dict(get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))))


def _reason(summary: Summary, values: list[float | None]) -> str:
    axes = summary.result.axes
    if len(axes) < 2 and all(axis.values for axis in axes):
        return "there is one axis"
    if len(values) < LEAST_TRIALS:
        return f"{len(values)} complete trials are too few, it takes {LEAST_TRIALS}"
    if len(set(values)) == 1:
        return "all trials score the same"
    return ""


def importances_figure(summary: Summary, found: Importances, study: optuna.Study | None) -> Figure | None:
    """Bars, the longest on top; None: there are none."""
    if not found.shares:
        return None
    return _drawn(plot_param_importances, summary, study, evaluator=FanovaImportanceEvaluator(seed=0))


def history(summary: Summary, study: optuna.Study | None) -> Figure | None:
    """Every trial's score and the best so far, with baselines as lines; None: a grid, no study, or nothing finished."""
    if study is None or summary.result.sampler == "grid" or not summary.complete:
        return None
    figure = _drawn(plot_optimization_history, summary, study)
    draw_baselines(figure.axes[0], summary, summary.result.metric)
    figure.axes[0].legend()
    return figure


def _drawn(plot: Callable[..., Any], summary: Summary, study: Any, **options: Any) -> Figure:
    """Optuna's figure under the sweep's question; the style that it sets for all others is taken back."""
    pyplot.switch_backend("agg")  # it goes to files, and opens no window
    with warnings.catch_warnings(), style.context("default"):
        warnings.simplefilter("ignore")  # the plots are marked as experimental
        figure: Figure = plot(study, target_name=f"{summary.result.metric} accuracy", **options).figure
    pyplot.close(figure)
    figure.set_layout_engine("constrained")
    figure.suptitle(fill(summary.result.question or summary.result.name, 80), fontsize=9, parse_math=False)
    return figure
