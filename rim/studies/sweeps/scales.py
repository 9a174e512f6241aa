"""Where the values of an axis lie in a figure: on a line, on a logarithmic one, or side by side as names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator

from rim.studies.sweeps.outcome import Axis
from rim.studies.sweeps.words import in_words, text_of

MOST_TICKS = 10
"""Listed values with a tick each; of more, matplotlib chooses."""
ROOM = 0.7
"""Room beyond the outermost values, in the unit of `Scale.place`."""
WIDE = 8
"""Listed numbers whose largest is so many times the smallest, and that grow faster than evenly, lie logarithmically."""


@dataclass(frozen=True)
class Scale:
    """The places of an axis's values."""

    axis: Axis

    @property
    def named(self) -> bool:
        """Whether values stand side by side, as names do."""
        return not self.axis.numeric

    @property
    def logarithmic(self) -> bool:
        """Whether distances are ratios."""
        values = sorted(self.axis.values) if self.axis.numeric else []
        if len(values) < 3 or values[0] <= 0:
            return self.axis.log
        middle = (values[0] + values[-1]) / 2
        return bool(values[-1] >= WIDE * values[0] and 2 * sum(value < middle for value in values) > len(values))

    def place(self, value: Any, beside: float = 0.0) -> float:
        """Where a value lies; `beside` shifts it, as a share of the axis's length or of the room of a name."""
        if self.named:
            return self.axis.values.index(value) + 0.8 * beside
        low, high = self._ends()
        if self.logarithmic:
            return float(value * (high / low) ** (0.15 * beside))
        return float(value + (high - low) * 0.15 * beside)

    def _ends(self) -> tuple[float, float]:
        if self.axis.values:
            return min(self.axis.values), max(self.axis.values)
        return self.axis.low or 0.0, self.axis.high or 1.0

    def dress(self, axes: Axes, width: float) -> None:
        """Label and ticks; long names are slanted.

        Args:
            width: of the panel, in inches.
        """
        axes.set_xlabel(in_words(self.axis), fontsize=9.5)
        if self.named:
            self._names(axes, width)
            return
        if self.logarithmic:
            axes.set_xscale("log")
        if 0 < len(self.axis.values) <= MOST_TICKS:
            axes.set_xticks(list(self.axis.values), map(text_of, self.axis.values))
            axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        low, high = self._ends()
        if low < high:  # or a mark beside the first value is cut off where later values have no score yet
            axes.set_xlim(self.place(low, -ROOM), self.place(high, ROOM))

    def _names(self, axes: Axes, width: float) -> None:
        names = [text_of(value) for value in self.axis.values]
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.6, len(names) - 0.4)
        if crowded(names, width):
            slant(axes)


def crowded(names: Sequence[str], width: float) -> bool:
    """Whether names are too long to stand side by side on so many inches."""
    return max(map(len, names)) * 0.09 > width / len(names)


def slant(axes: Axes) -> None:
    """Let the names below a panel rise to the right, each with its end at its tick."""
    axes.tick_params("x", labelrotation=25)
    for label in axes.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor", fontsize=8)
