"""A study as workers see it: what is queued, what a claim is worth, which sweep it belongs to."""

import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from rim.studies.sweeps import agreement
from rim.studies.sweeps import storage as storages
from rim.studies.sweeps.agreement import agreed, seal
from rim.studies.sweeps.collect import collect
from rim.studies.sweeps.liveness import has_died, registered
from rim.studies.sweeps.settings import Sweep
from rim.studies.sweeps.space import Part, make_parts
from rim.studies.sweeps.storage import SweepError, open_storage
from rim.studies.sweeps.study import ASIDE, POINT, Aside, Found, again, claim, distribution, fill, outlook
from rim.studies.sweeps.worker import take_up

RATE = "training.clip"
pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed")  # tests ask for trials one by one


@pytest.fixture
def storage(tmp_path: Path) -> RDBStorage:
    return open_storage(f"sqlite:///{tmp_path}/study.db")


def part(space: dict[str, Any] | None = None, **more: Any) -> Part:
    return make_parts(Sweep(name="s", space=space or {"memory.blocks": [1, 2]}, **more))[-1]


def begun(part: Part, storage: RDBStorage) -> optuna.Study:
    """The study of a part as a command begins with it."""
    study = agreed(part, storage)
    fill(part, study)
    seal(part, study)
    return study


def states(study: optuna.Study) -> list[tuple[str, str]]:
    """Point and state of every trial that counts."""
    return [(t.user_attrs[POINT], t.state.name) for t in study.trials if ASIDE not in t.user_attrs]


def work(part: Part, study: optuna.Study, trials: int = 1) -> list[Any]:
    """Claim and finish; the points, or why they were put aside."""
    found: list[Any] = []

    def objective(trial: optuna.Trial) -> float:
        try:
            found.append(dict(claim(part, study, trial, "me")))
        except Aside as reason:
            found.append(str(reason))
            trial.set_user_attr(ASIDE, str(reason))
            raise
        return 0.5

    study.optimize(objective, n_trials=trials, catch=(Aside,))
    return found


def test_a_queue_is_filled_once_and_drained_in_order(storage: RDBStorage) -> None:
    grid = part()
    study = begun(grid, storage)
    fill(grid, study)
    assert states(study) == [("blocks-1", "WAITING"), ("blocks-2", "WAITING")] and outlook(grid, study) == "work"
    assert work(grid, study, 2) == [{"memory.blocks": 1}, {"memory.blocks": 2}] and outlook(grid, study) == "done"
    fill(grid, study)
    assert states(study) == [("blocks-1", "COMPLETE"), ("blocks-2", "COMPLETE")]


def test_a_point_that_is_queued_twice_is_run_once(storage: RDBStorage) -> None:
    """As by two machines that begin at the same moment."""
    grid = part()
    study = begun(grid, storage)
    study.enqueue_trial({"memory.blocks": 1}, user_attrs={POINT: "blocks-1"})
    study.enqueue_trial({"memory.blocks": 2}, user_attrs={POINT: "blocks-2"})
    assert work(grid, study, 4)[2:] == ["trial 0 has this point", "trial 1 has this point"]
    assert states(study) == [("blocks-1", "COMPLETE"), ("blocks-2", "COMPLETE")]


@pytest.mark.parametrize("first", [0, 1], ids=["the earlier is claimed first", "the later is claimed first"])
def test_of_two_that_claim_a_point_at_once_the_earlier_trial_counts(first: int, storage: RDBStorage) -> None:
    grid = part({"memory.blocks": [1]})
    study = begun(grid, storage)
    study.enqueue_trial({"memory.blocks": 1}, user_attrs={POINT: "blocks-1"})
    trials = [study.ask(), study.ask()]
    for index in (first, 1 - first):
        if index == 0:
            assert claim(grid, study, trials[0], "me") == {"memory.blocks": 1}
        else:
            with pytest.raises(Aside, match="trial 0 has this point"):
                claim(grid, study, trials[1], "you")


def test_what_did_not_come_from_the_queue_is_put_aside(storage: RDBStorage) -> None:
    grid = part()
    study = begun(grid, storage)
    assert work(grid, study, 3)[2] == "it did not come from the queue"
    assert len(states(study)) == 2 and outlook(grid, study) == "done"


def test_a_draw_beyond_the_number_of_trials_is_put_aside(storage: RDBStorage) -> None:
    tpe = part({RATE: {"low": 0.1, "high": 2.0}}, sampler="tpe", trials=2)
    study = begun(tpe, storage)
    assert outlook(tpe, study) == "work" and study.trials == []
    assert [type(each) for each in work(tpe, study, 3)] == [dict, dict, str]
    assert outlook(tpe, study) == "done" and len(states(study)) == 2


def test_a_draw_that_failed_keeps_its_place_until_it_is_tried_again(storage: RDBStorage) -> None:
    """So that a setting that always fails does not go on for ever."""
    tpe = part({RATE: {"low": 0.1, "high": 2.0}}, sampler="tpe", trials=2)
    study = begun(tpe, storage)
    trial = study.ask()
    claim(tpe, study, trial, "me")
    study.tell(trial, state=TrialState.FAIL)
    work(tpe, study)
    assert outlook(tpe, study) == "done"
    fill(tpe, study)
    assert outlook(tpe, study) == "work" and work(tpe, study) == [trial.params]
    assert (
        outlook(tpe, study) == "done"
        and [each.state for each in Found(tpe, study).standing.values()] == [TrialState.COMPLETE] * 2
    )


def test_of_two_draws_of_one_point_the_one_that_got_further_is_reported() -> None:
    drawn, failed, done = part(sampler="tpe", trials=2), TrialState.FAIL, TrialState.COMPLETE
    point: dict[str, Any] = {
        "params": {"memory.blocks": 1},
        "distributions": {"memory.blocks": distribution(drawn.axes[0])},
    }
    for states in ((failed, done), (done, failed)):
        found = Found(drawn, None)
        for number, state in enumerate(states):
            more: dict[str, Any] = {"value": 0.5} if state == done else {}
            trial = optuna.trial.create_trial(state=state, user_attrs={POINT: "blocks-1"}, **point, **more)
            trial.number = number
            found.standing[number] = trial
        [only] = collect([drawn], {"": found}).points
        assert (only.state, only.number) == ("complete", states.index(done))


def test_scores_of_finished_seeds_stay_with_a_point_that_is_tried_again(storage: RDBStorage) -> None:
    grid = part({"memory.blocks": [1]})
    study = begun(grid, storage)
    trial = study.ask()
    trial.set_user_attr("seed-0", {"seed": 0})
    study.tell(trial, state=TrialState.FAIL)
    again(study, study.trials[0])
    assert study.trials[1].user_attrs["seed-0"] == {"seed": 0} and work(grid, study) == [{"memory.blocks": 1}]


def test_a_worker_that_died_before_it_signed_its_trial_is_noticed(
    storage: RDBStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = part({"memory.blocks": [1]})
    study = begun(grid, storage)
    study.ask()
    take_up(study, tmp_path)
    assert states(study) == [("blocks-1", "RUNNING")], "it may be about to sign"
    monkeypatch.setattr(storages, "GRACE_SECONDS", -1)
    take_up(study, tmp_path)
    assert states(study) == [("blocks-1", "FAIL"), ("blocks-1", "WAITING")] and work(grid, study) == [
        {"memory.blocks": 1}
    ]


def test_only_a_worker_that_is_gone_has_died(tmp_path: Path) -> None:
    with registered(tmp_path) as name:
        assert not has_died(tmp_path, name) and not has_died(tmp_path, f"elsewhere-{name}")
    left = tmp_path / "workers" / name
    assert not left.exists()
    left.touch()  # as after kill -9
    assert has_died(tmp_path, name)


def test_a_grid_may_gain_values_anywhere_and_keeps_its_trials(storage: RDBStorage) -> None:
    study = begun(part({"memory.blocks": [2, 4], "method.fade": ["none", "relative"]}), storage)
    work(part({"memory.blocks": [2, 4], "method.fade": ["none", "relative"]}), study, 4)
    grown = part({"memory.blocks": [1, 2, 4], "method.fade": ["none", "relative", "absolute"]})
    study = begun(grown, storage)
    done = [each for each in study.trials if each.state == TrialState.COMPLETE]
    assert [each.params["memory.blocks"] for each in done] == [2, 2, 4, 4] and {each.value for each in done} == {0.5}
    assert len(states(study)) == 9 and optuna.get_all_study_names(storage) == ["s"]
    assert len(work(grown, study, 5)) == 5 and outlook(grown, study) == "done"
    assert len({str(each.distributions) for each in study.trials}) == 1, "importances need equal choices"


@pytest.mark.parametrize("killed", ["while copying", "after copying", "while copying back"])
def test_no_trial_is_lost_where_growing_is_killed(
    killed: str, storage: RDBStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, grown = part(), part({"memory.blocks": [1, 2, 4]})
    study = begun(grid, storage)
    work(grid, study, 2)
    copy = agreement._copy
    calls: list[str] = []

    def dying(part: Part, storage: RDBStorage, source: str, target: str) -> None:
        calls.append(target)
        last = len(calls) == (2 if killed == "while copying back" else 1)
        if last and killed != "after copying":
            optuna.create_study(study_name=target, storage=storage, direction="maximize")
        else:
            copy(part, storage, source, target)
        if last:
            raise KeyboardInterrupt

    monkeypatch.setattr(agreement, "_copy", dying)
    with pytest.raises(KeyboardInterrupt):
        begun(grown, storage)
    monkeypatch.setattr(agreement, "_copy", copy)
    study = begun(grown, storage)
    assert states(study) == [("blocks-1", "COMPLETE"), ("blocks-2", "COMPLETE"), ("blocks-4", "WAITING")]
    assert optuna.get_all_study_names(storage) == ["s"]


def test_a_grid_does_not_grow_under_workers(storage: RDBStorage) -> None:
    study = begun(part(), storage)
    study.ask()
    with pytest.raises(SweepError, match="'s' has trials under way, and gains values only while it rests"):
        begun(part({"memory.blocks": [1, 2, 4]}), storage)


@pytest.mark.parametrize(
    ("space", "more", "message"),
    [
        ({"memory.blocks": [1, 4]}, {}, 'memory.blocks, 2: ["memory.blocks=2"] -> (absent)'),
        ({"memory.blocks": [1, 2], RATE: [1, 2]}, {}, "axes: memory.blocks -> memory.blocks, training.clip"),
        (None, {"seeds": [0, 1]}, "seeds: [0] -> [0, 1]"),
        (None, {"metric": "tracking/test"}, 'metric: "validation" -> "tracking/test"'),
        (None, {"pruner": "median"}, 'pruner: "none" -> "median"'),
        (None, {"overrides": ["training.batch_size=64"]}, "training.batch_size: 128 -> 64"),
    ],
)
def test_a_study_of_another_sweep_is_refused(
    space: dict[str, Any] | None, more: dict[str, Any], message: str, storage: RDBStorage
) -> None:
    work(part(), begun(part(), storage))
    with pytest.raises(SweepError) as error:
        begun(part(space, **more), storage)
    assert f"holds trials of another sweep 's': {message}. Choose another name, or go back" in str(error.value)
    assert begun(part(overrides=["training.threads=1"], jobs=4, hours=2.0, question="why?"), storage) is not None


def test_ranges_stay_as_they_are(storage: RDBStorage) -> None:
    def tpe(high: float, trials: int = 3) -> Part:
        return part({RATE: {"low": 0.1, "high": high}}, sampler="tpe", trials=trials)

    work(tpe(1.0), begun(tpe(1.0), storage))
    begun(tpe(1.0, trials=9), storage)
    with pytest.raises(SweepError, match=r"training.clip, high: 1.0 -> 2.0"):
        begun(tpe(2.0), storage)


def test_a_study_in_which_nothing_has_begun_is_made_anew(storage: RDBStorage) -> None:
    begun(part(), storage)
    assert states(begun(part({"memory.blocks": [4, 8]}), storage)) == [("blocks-4", "WAITING"), ("blocks-8", "WAITING")]


def test_a_study_of_someone_else_is_left_alone(storage: RDBStorage) -> None:
    optuna.create_study(study_name="s", storage=storage).add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(SweepError, match="s is no sweep's study"):
        begun(part(), storage)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nowhere", "storage is no address: write postgresql://user:password@host/database, or leave it empty"),
        ("oracl://u:secret@h/d", "storage: oracl://u:***@h/d cannot be opened: Can't load plugin"),
        ("sqlite:////no/such/folder/x.db", "cannot be opened: (sqlite3.OperationalError) unable to open database file"),
    ],
)
def test_addresses_that_are_refused(address: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storages, "OPENINGS", 1)
    with pytest.raises(SweepError) as error:
        open_storage(address)
    assert message in str(error.value) and "secret" not in str(error.value)


def test_a_transaction_on_sqlite_locks_before_it_reads(storage: RDBStorage, tmp_path: Path) -> None:
    """Else two workers read that a trial waits, and both have it."""
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM trials").scalar() == 0
        other = sqlite3.connect(tmp_path / "study.db", timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()
