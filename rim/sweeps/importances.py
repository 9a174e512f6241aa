"""Which settings matter: the share of the variance between trials that each of them explains.

Source: F. Hutter, H. Hoos, K. Leyton-Brown, "An efficient approach for assessing hyperparameter importance", ICML 2014
(functional ANOVA over a random forest), as in Optuna.
"""

from typing import TYPE_CHECKING, NamedTuple

from matplotlib.figure import Figure

from rim.report.style import COLOURS, plain
from rim.sweeps.figures import sheet
from rim.sweeps.summary import Summary
from rim.sweeps.words import in_words

if TYPE_CHECKING:
    import optuna

LEAST_TRIALS = 8
"""Complete trials below which a forest has nothing to learn from."""
WIDTH, BAR_HEIGHT = 6.5, 0.42
"""Inches."""


class Importances(NamedTuple):
    """Axis → share, the highest first; empty with the reason why."""

    shares: dict[str, float]
    trials: int
    reason: str = ""


def importances(summary: Summary, study: "optuna.Study | None") -> Importances:
    """Of complete trials only, with a fixed seed."""
    if study is None:
        return Importances({}, 0, "the study is not at hand")
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    values = [trial.value for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
    if reason := _reason(summary, values):
        return Importances({}, len(values), reason)
    found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    return Importances(dict(found), len(values))


def _reason(summary: Summary, values: list[float | None]) -> str:
    axes = summary.result.axes
    if len(axes) < 2 and all(axis.values for axis in axes):
        return "there is one axis"
    if len(values) < LEAST_TRIALS:
        return f"{len(values)} complete trials are too few, it takes {LEAST_TRIALS}"
    if len(set(values)) == 1:
        return "all trials score the same"
    return ""


def importances_figure(summary: Summary, found: Importances) -> Figure | None:
    """Bars, the longest on top; None: there are none."""
    if not found.shares:
        return None
    names = {axis.name: in_words(axis) for axis in summary.result.axes}
    labels = [names.get(name, name) for name in found.shares][::-1]
    heading = f"What explains the differences in {summary.result.metric} accuracy between {found.trials} trials"
    figure = sheet(summary, WIDTH, BAR_HEIGHT * len(labels) + 0.9, _NOTE, heading)
    axes = figure.subplots()
    plain(axes)
    axes.grid(visible=False, axis="y")
    shares = list(found.shares.values())[::-1]
    drawn = axes.barh(labels, shares, color=COLOURS[0], height=0.6)
    axes.bar_label(drawn, [f"{share:.2f}" for share in shares], padding=4, fontsize=9)
    axes.set_xlim(0, 1.08 * max(shares))
    axes.set_xlabel("share of the explained variance", fontsize=9.5)
    return figure


_NOTE = (
    "Functional ANOVA over a random forest (64 trees, fixed seed) of the complete trials; shares of single settings "
    "add up to 1, what settings do only together is left out. Of few trials it is a hint, not a measurement."
)
