"""Tables, records and figures of each part of an analysis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rim.report.tables import decimal, table, wide_table, with_bounds
from rim.studies.analysis.figures import heat_maps, projections
from rim.studies.analysis.holding import QUESTION, Held
from rim.studies.analysis.patch import BOTH, KEYS, OUTCOMES, VALUES, Interventions
from rim.studies.analysis.probe import Probes
from rim.studies.analysis.projection import Projection
from rim.studies.analysis.readouts import ReadSteps

COLUMNS = 8
"""Layers side by side in a table."""


@dataclass(frozen=True)
class Section:
    """What a part of an analysis found: Markdown, plain types for JSON, and figures by file name."""

    text: str
    record: Any
    figures: Mapping[str, Figure] = field(default_factory=dict)


def patch_section(other: Interventions, same: Interventions, layers: Sequence[int]) -> Section:
    """Interventions with donors of another answer, and beside them with donors of the same values."""
    title = "## Causal interventions"
    if not other.pairs:
        return Section(f"{title}\n\nOf {other.asked:,} pairs none has two right answers: nothing to change.", None)
    columns = [f"layer {layer}" for layer in layers]
    share_SL = np.array([[other.share(site, column) for column in columns] for site in other.sites])
    rows = [(site, *map(decimal, shares)) for site, shares in zip(other.sites, share_SL, strict=True)]
    parts = [
        f"{title}\n\n{other.pairs:,} of {other.asked:,} pairs, whose two answers are both right. Share of answers that "
        "become the donor's when the\nsite's states at the input of a layer are the donor's:",
        wide_table(rows, ("site", *columns), COLUMNS),
        "At the best layer of each site:\n\n" + table(*_best(other, same, columns)),
        f"By keys and values in all layers, share of the donor's answers:\n\n{table(*_cached(other))}",
    ]
    maps = heat_maps("Answers that become the donor's", {"state patched": share_SL}, other.sites, columns, "share")
    return Section("\n\n".join(parts), {"other_answer": _plain(other), "same_values": _plain(same)}, {"patch": maps})


def held_sections(probes: Probes) -> Section:
    """Probes with their floor."""
    rows = []
    for step in probes.right.steps:
        site, layer, right = probes.right.best(step)
        floor = probes.floor.found[site, step, layer]
        best, bounds = with_bounds(right, 0.95)
        at_question = _at_question(probes.right, step)
        rows.append((f"step {step}", f"{site}, {layer}", best, bounds, at_question, decimal(floor.value), right.count))
    header = ("value after", "best of the blocks", "accuracy", "95 % interval", "question", "shuffled", "examples")
    note = (
        "Each is the best of all blocks and layers on the examples that score it, an upper end; the figure has all "
        "of them.\n`question`: the same probe on as many tokens at the question's end, at its best layer."
    )
    text = f"## Linear probes\n\n{table(rows, header)}\n\n{note}" if rows else "## Linear probes\n\nToo few examples."
    figures = {"probe": held_maps("Linear probes: values that are found", probes.right)} if rows else {}
    return Section(text, {"probe": _held(probes.right), "shuffled": _held(probes.floor)}, figures)


def lens_section(logit: Held, affine: Held) -> Section:
    """The logit lens, and the affine one beside it."""
    title = "## Logit lens and affine lens"
    if not logit.steps:
        return Section(f"{title}\n\nThese questions have no steps: there is no value to name.", None)
    rows = []
    for step in logit.steps:
        site, layer, right = logit.best(step)
        rows.append((f"step {step}", "logit", f"{site}, {layer}", *with_bounds(right, 0.95), _at_question(logit, step)))
        site, layer, right = affine.best(step)
        rows.append(("", "affine", f"{site}, {layer}", *with_bounds(right, 0.95), _at_question(affine, step)))
    header = ("value after", "lens", "best of the blocks", "named first", "95 % interval", "question")
    text = f"{title}\n\n{table(rows, header)}"
    figures = {
        "lens": held_maps("Logit lens: values that are named", logit),
        "affine_lens": held_maps("Affine lens: values that are named", affine),
    }
    return Section(text, {"logit": _held(logit), "affine": _held(affine)}, figures)


def steps_section(name: str | None, read: ReadSteps | None) -> Section:
    """What the readouts of the grounding checkpoint of this name read, by block and step."""
    title = "## Steps that the readouts of grounding read from blocks"
    if name is None or read is None:
        return Section(f"{title}\n\nThis run has no grounding checkpoint, whose readouts read steps.", None)
    held, parts = read.held, [title]
    rows = [
        (
            whose if site == held.sites[0] else "",
            site,
            *(decimal(held.found[site, step, whose].value) for step in held.steps),
        )
        for whose in held.layers
        for site in held.sites
    ]
    header = (f"read by {name} after", "block", *(f"step {step}" for step in held.steps))
    parts += [wide_table(rows, header, COLUMNS)] if rows else []
    if read.without_room:
        parts.append(
            f"Questions left out: {read.without_room:,}. With all blocks and a step of {read.longest} tokens, the "
            "longest of all, they take more\npositions than the model has."
        )
    return Section("\n\n".join(parts), {"cells": _held(held), "without_room": read.without_room})


def pca_section(found: Sequence[Projection]) -> Section:
    """Projections of block states."""
    title = "## PCA of block states"
    if not found:
        return Section(f"{title}\n\nFewer than two of these questions have steps: nothing to project.", None)
    rows = [(one.model, one.layer, *(f"{share:.1%}" for share in one.explained)) for one in found]
    text = f"{title}\n\n" + table(rows, ("model", "layer", "1st axis", "2nd axis"))
    record = [{"model": one.model, "layer": one.layer, "explained": one.explained} for one in found]
    return Section(text, record, {"pca": projections(found)})


def attention_section(shares: Mapping[str, np.ndarray], layers: Sequence[int]) -> Section:
    """Where the tokens that predict an answer look."""
    columns = [f"layer {layer}" for layer in layers]
    rows = [(name, *map(decimal, share_L)) for name, share_L in shares.items()]
    text = "## Attention from the answer\n\n" + wide_table(rows, ("to", *columns), COLUMNS)
    maps = heat_maps(
        "Attention from the answer", {"mean over heads": np.stack([*shares.values()])}, [*shares], columns, "share"
    )
    return Section(text, {name: share_L.tolist() for name, share_L in shares.items()}, {"attention": maps})


def _at_question(held: Held, step: int) -> str:
    """The best layer of the rival site."""
    _, layer, share = held.best(step, site=QUESTION)
    return f"{decimal(share.value)} ({layer})"


def held_maps(title: str, held: Held) -> Figure:
    """A panel for each step."""
    panels = {
        f"after step {step}": np.array(
            [[held.found[site, step, layer].value for layer in held.layers] for site in held.sites]
        )
        for step in held.steps
    }
    return heat_maps(title, panels, held.sites, held.layers, "share of examples")


def _best(other: Interventions, same: Interventions, columns: Sequence[str]) -> tuple[list[tuple], tuple[str, ...]]:
    rows = []
    for site in other.sites:
        best = max(columns, key=lambda column: other.share(site, column))
        shares = [decimal(other.share(site, best, outcome)) for outcome in OUTCOMES]
        kept = decimal(same.share(site, best, "stays")) if same.pairs else "—"
        rows.append((site, best, *shares, kept))
    return rows, ("site", "at", *OUTCOMES, f"stays ({same.pairs} donors of the same values)")


def _cached(other: Interventions) -> tuple[list[tuple], tuple[str, ...]]:
    columns = (KEYS, VALUES, BOTH)
    return [(site, *(decimal(other.share(site, each)) for each in columns)) for site in other.sites], ("site", *columns)


def _plain(found: Interventions) -> dict[str, Any]:
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for (site, column), outcomes in found.counts.items():
        counts.setdefault(site, {})[column] = {outcome: outcomes[outcome] for outcome in OUTCOMES}
    return {"pairs": found.pairs, "asked": found.asked, "outcomes": counts}


def _held(held: Held) -> list[dict[str, Any]]:
    return [
        {"site": site, "step": step, "layer": layer, "right": share.correct, "count": share.count}
        for (site, step, layer), share in held.found.items()
    ]
