"""Updates of a budget of FLOPs: counted once, kept, and counted again where what they depend on has changed."""

from pathlib import Path

import pytest

from rim.settings import Config
from rim.studies.comparison.budget import Ledger
from rim.studies.comparison.plan import PlannedRun, plan_runs
from rim.studies.comparison.settings import Budget, Comparison, Entry
from rim.training import cost


class Counter:
    """Stands in for `rim.training.cost`: a chain costs 20 an update, everything else 10."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def cost_of(self, config: Config) -> cost.TrainingCost:
        self.calls.append(f"cost of {config.method.name}")
        assert config.training.duration is not None
        updates = int(config.training.duration.split()[0])
        return cost.TrainingCost({"all": self._price(config)}, {"all": updates})

    def updates_for(self, config: Config, flops: float) -> int:
        self.calls.append(f"updates of {config.method.name}")
        return round(flops / self._price(config))

    def _price(self, config: Config) -> float:
        return 20.0 if config.method.name == "cot" else 10.0


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    found = Counter()
    monkeypatch.setattr(cost, "cost_of", found.cost_of)
    monkeypatch.setattr(cost, "updates_for", found.updates_for)
    return found


def runs(folder: Path, budget: Budget, *overrides: str) -> dict[str, PlannedRun]:
    entries = [Entry("direct", ["method.name=direct"]), Entry("cot", ["method.name=cot"])]
    asked = Comparison("x", str(folder), overrides=[*overrides], seeds=[0, 1], budgets=[budget], entries=entries)
    return {run.name.partition("/")[2]: run for run in plan_runs(asked)}


def test_a_budget_of_updates_needs_no_counting(tmp_path: Path, counter: Counter) -> None:
    ledger = Ledger(tmp_path / "plan.json")
    assert ledger.updates(runs(tmp_path, Budget("u", 300))["cot/seed-0"]) == 300
    assert counter.calls == [] and not (tmp_path / "plan.json").exists()


def test_the_flops_of_an_entry(tmp_path: Path, counter: Counter) -> None:
    planned = runs(tmp_path, Budget("f", 100, flops_of="cot"))
    ledger = Ledger(tmp_path / "plan.json")
    assert [ledger.known(run) for run in planned.values()] == [None, 100, None, 100]
    assert [ledger.updates(run) for run in planned.values()] == [200, 100, 200, 100]
    assert counter.calls == ["cost of cot", "updates of direct"]
    again = Ledger(tmp_path / "plan.json")
    assert [again.known(run) for run in planned.values()] == [200, 100, 200, 100]
    assert again.flops(planned["direct/seed-1"]) == 2000.0 and again.updates(planned["direct/seed-1"]) == 200
    assert len(counter.calls) == 2


def test_a_number_of_flops(tmp_path: Path, counter: Counter) -> None:
    planned = runs(tmp_path, Budget("f", flops=4e4))
    assert [Ledger(tmp_path / "plan.json").updates(run) for run in planned.values()] == [4000, 2000, 4000, 2000]
    assert counter.calls == ["updates of direct", "updates of cot"]


@pytest.mark.parametrize(
    ("budget", "override"), [(Budget("f", flops=8e4), "training.clip=1"), (Budget("f", flops=4e4), "training.clip=2")]
)
def test_what_has_changed_is_counted_again(tmp_path: Path, counter: Counter, budget: Budget, override: str) -> None:
    Ledger(tmp_path / "plan.json").updates(runs(tmp_path, Budget("f", flops=4e4))["cot/seed-0"])
    changed = runs(tmp_path, budget, override)["cot/seed-0"]
    assert Ledger(tmp_path / "plan.json").known(changed) is None
    assert Ledger(tmp_path / "plan.json").updates(changed) == round(budget.flops / 20)  # type: ignore[operator]
