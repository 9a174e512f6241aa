"""Where training stands when an example is laid out: everything that a curriculum may depend on."""

from dataclasses import dataclass

from rim.settings import Stage


@dataclass(frozen=True)
class Progress:
    """Update `update` (0-based) of a stage with `length` updates; `epochs` of it are done, in passes over the rows."""

    stage: Stage
    update: int = 0
    length: int = 1
    epochs: float = 0.0

    @property
    def objective(self) -> str:
        """What the stage predicts."""
        return self.stage.objective

    @property
    def share(self) -> float:
        """Share of the stage that is done, 0 to 1."""
        return self.update / self.length
