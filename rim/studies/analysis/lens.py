"""The logit lens: which token does the last token of a block name, if a layer were the last one?

Counted is how often that is the first token of the value after a step. Memory tokens, which are never generated, are
left aside. The affine lens (Belrose et al., arXiv 2303.08112) first maps a layer's states to the output of the last
layer, by a map that is the same for all tokens and is fitted on training questions.

Axes: E examples, F features of a site, D width, V vocabulary.
"""

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rim.backbone.patching import unembedded
from rim.report.proportion import Proportion
from rim.studies.analysis.holding import Held, States
from rim.studies.analysis.probe import PENALTIES
from rim.studies.analysis.subject import OUTPUT, Subject


def lens(subject: Subject, states: States) -> Held:
    """How often each value is named, for every step, site and layer."""
    found: dict[tuple[str, int, str], Proportion] = {}
    firsts = {value: _first(subject, value) for values in states.values for value in values}
    for (site, layer), state_EF in states.by_site.items():
        named = _named(subject, state_EF[:, -subject.backbone.width :])
        for step in range(1, max(map(len, states.values), default=0) + 1):
            rows = states.at_least(step)
            wanted = np.array([firsts[value] for value in states.values_after(step, rows)])
            found[site, step, layer] = Proportion(int((named[rows] == wanted).sum()), len(rows))
    return Held(found)


def affine_lens(subject: Subject, train: States, test: States) -> Held:
    """The same of `test`, after maps that are fitted on `train`: ridge regressions, one for each layer."""
    d = subject.backbone.width
    last_RD = np.concatenate([train.by_site[site, OUTPUT][:, -d:] for site in train.sites])
    maps = {}
    for layer in train.layers:
        state_RD = np.concatenate([train.by_site[site, layer][:, -d:] for site in train.sites])
        maps[layer] = make_pipeline(StandardScaler(), RidgeCV(alphas=PENALTIES)).fit(state_RD, last_RD)
    mapped = {key: maps[key[1]].predict(state_EF[:, -d:]) for key, state_EF in test.by_site.items()}
    return lens(subject, States(mapped, test.values))


def _named(subject: Subject, state_ED: np.ndarray) -> np.ndarray:
    """[E] the most likely token after each state."""
    backbone = subject.backbone
    hidden = torch.tensor(backbone.special.memory_tokens, device=backbone.device)
    dtype = next(backbone.model.parameters()).dtype
    named = []
    for rows_BD in torch.from_numpy(state_ED).split(subject.batch_size):
        logits_BPV = unembedded(backbone, rows_BD[:, None].to(backbone.device, dtype))
        named.append(logits_BPV[:, 0].index_fill(1, hidden, float("-inf")).argmax(-1).cpu())
    return torch.cat(named).numpy()


def _first(subject: Subject, value: str) -> int:
    """The token that a value begins with; -1 of none."""
    ids = subject.evaluator.tokenizer(value, add_special_tokens=False)["input_ids"]
    return int(ids[0]) if ids else -1
