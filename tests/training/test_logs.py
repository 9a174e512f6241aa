"""The curve on disk: what a kill cut short is passed over, and a resumed run drops what it will repeat."""

from pathlib import Path

from rim.training.logs import Curve, read_curve


def test_resumed_curve_drops_what_will_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    assert read_curve(path) == []
    first = Curve(path, 0)
    for update in (1, 2, 3, 4):
        first.add({"update": update, "loss": 0.5})
    with open(path, "a") as file:
        file.write('{"update": 5, "lo')
    assert [record["update"] for record in read_curve(path)] == [1, 2, 3, 4]
    again = Curve(path, 3)
    again.add({"update": 4, "loss": 0.25})
    assert [(record["update"], record["loss"]) for record in read_curve(path)] == [
        (1, 0.5),
        (2, 0.5),
        (3, 0.5),
        (4, 0.25),
    ]


def test_line_that_was_cut_does_not_take_the_next_one_along(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    path.write_text('{"update": 1, "loss": 1.0}\n{"update": 2, "loss": 0.')
    curve = Curve(path, 1)
    curve.add({"update": 2, "loss": 0.5})
    assert read_curve(path) == [{"update": 1, "loss": 1.0}, {"update": 2, "loss": 0.5}]
