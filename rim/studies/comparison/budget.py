"""How many updates a run may have, found when it is about to start, and kept in `plan.json` for the next command."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from rim.base.files import write_json
from rim.settings import Config, Run
from rim.settings.load import to_yaml
from rim.studies.comparison.plan import FINE, PlannedRun

PLAN = "plan.json"


class Ledger:
    """Updates by budget and entry.

    A budget of updates says them itself. A budget of FLOPs needs the cost of an update, which takes a model and data
    to count: that is done once for each entry, and again where settings that it depends on have changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def known(self, run: PlannedRun) -> int | None:
        """Updates of a run, without counting anything; None: not known yet."""
        if run.budget.exact or run.budget.flops_of == run.entry.name:
            return run.budget.updates
        flops = self.flops(run)
        return None if flops is None else self._fact(_key(run), "updates", run.config(FINE), flops)

    def flops(self, run: PlannedRun) -> float | None:
        """The FLOPs that a run's budget grants; None: not known yet, or a budget of updates."""
        if run.budget.flops_of is None:
            return run.budget.flops
        return self._fact(run.budget.name, "flops", _reference(run), run.budget.updates)

    def updates(self, run: PlannedRun) -> int:
        """Updates of a run, counted where need be.

        Raises:
            UserError: the settings give no model to count on, or no length from the budget.
        """
        from rim.training.cost import updates_for  # heavy: nothing before the first run of a budget of FLOPs needs it

        known = self.known(run)
        if known is not None:
            return known
        flops, config = self._granted(run), run.config(FINE)
        return self._keep(_key(run), "updates", updates_for(config, flops), config, flops)

    def _granted(self, run: PlannedRun) -> float:
        from rim.training.cost import cost_of

        known = self.flops(run)
        if known is not None:
            return known
        config = _reference(run)
        return self._keep(run.budget.name, "flops", cost_of(config).flops, config, run.budget.updates)

    def _fact(self, key: str, name: str, config: Config, limit: float | None) -> Any:
        fact = self.facts.get(key, {})
        return fact.get(name) if fact.get("of") == _fingerprint(config, limit) else None

    def _keep(self, key: str, name: str, value: Any, config: Config, limit: float | None) -> Any:
        self.facts[key] = {name: value, "of": _fingerprint(config, limit)}
        write_json(self.path, self.facts)
        return value


def _key(run: PlannedRun) -> str:
    return f"{run.budget.name}/{run.entry.name}"


def _reference(run: PlannedRun) -> Config:
    """The settings of the entry whose cost is the budget."""
    entry = next(entry for entry in run.comparison.entries if entry.name == run.budget.flops_of)
    return PlannedRun(run.comparison, run.budget, entry, run.seed).config(run.budget.updates or FINE)


def _fingerprint(config: Config, limit: float | None) -> str:
    """Of what the cost depends on: settings without name, seed and starting weights, and what is granted."""
    plain = replace(config, run=Run(), backbone=replace(config.backbone, start_from=None))
    return hashlib.sha256(f"{limit}\n{to_yaml(plain)}".encode()).hexdigest()[:16]
