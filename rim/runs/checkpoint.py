"""Weights of a run on disk: what training changed, a fingerprint, and loading that is strict.

A run folder holds all that is needed to use its model: `config.yaml`, `tokenizer/`, `architecture/` and
`weights/*.safetensors`, and for adapters the name and revision of the frozen base. The fingerprint is the model's own
answer to a fixed prompt: if library, base weights or tokenizer have changed under a checkpoint, loading says so.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from rim.backbone.backbone import Backbone, Reading
from rim.backbone.sharding import collect, in_step, put
from rim.base.errors import UserError
from rim.base.files import write_bytes
from rim.runs.world import is_first_process

PROMPT = "Ann has 3 cups and gets 4 more."
SAMPLES = 16
"""Number of logits that a fingerprint holds of a token."""
INSERTED = "inserted_fingerprint"
"""Name of the second fingerprint, among the facts beside weights."""
FORMER_ROWS, ROWS = ".token_adapter.trainable_tokens_delta.default", ".rows.weight"
"""How the name of the memory rows under adapters ended while peft held them, and how it ends."""
EXTRA = "extra."
"""What the names of modules begin with that a method adds to the backbone."""


class CheckpointError(UserError):
    """Weights that do not belong to this model, or that no longer give what they gave."""


def describe_weights(backbone: Backbone) -> dict[str, Any]:
    """Vocabulary and fingerprint of the present weights, and a second one where memory enters above layer 0."""
    facts = {
        "vocabulary": len(backbone.tokenizer),
        "tokenizer": tokenizer_hash(backbone),
        "family": backbone.config.model_type,
        "fingerprint": fingerprint(backbone),
    }
    return facts if backbone.insertion is None else facts | {INSERTED: inserted_fingerprint(backbone)}


def tokenizer_hash(backbone: Backbone) -> str:
    """Hash of the vocabulary: every token and its id."""
    entries = sorted(backbone.tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()[:16]


@torch.no_grad()
def fingerprint(backbone: Backbone) -> list[float]:
    """Evenly spaced logits after a fixed prompt and one memory block, read as tokens, without autocast."""
    special = backbone.special
    ids_1N = _prompted(backbone, (special.open, special.memory, special.memory, special.close))
    with _plainly(backbone):
        logits_V = backbone.read_text(ids_1N)[0, -1].float()
    return logits_V[_sampled(len(logits_V)).to(logits_V.device)].tolist()


@torch.no_grad()
def inserted_fingerprint(backbone: Backbone) -> list[float]:
    """The same logits after each memory token in turn, which all enter where memory enters; T times as many."""
    tokens = backbone.special.memory_tokens
    ids_1N = _prompted(backbone, tokens)
    n = ids_1N.shape[1]
    place_1N = torch.arange(n, device=backbone.device)[None]
    visible_1NN = torch.ones(1, n, n, dtype=torch.bool, device=backbone.device).tril()
    with _plainly(backbone):
        reading = Reading(visible_1NN, place_1N, place_1N, keep=place_1N[:, -len(tokens) :])
        logits_TV = backbone(ids_1N, reading).logits[0].float()
    return logits_TV[:, _sampled(logits_TV.shape[1]).to(logits_TV.device)].flatten().tolist()


def _prompted(backbone: Backbone, block: Sequence[int]) -> Tensor:
    """[1, N] the fixed prompt and these tokens."""
    ids = backbone.tokenizer(PROMPT, add_special_tokens=False)["input_ids"]
    return torch.tensor([[*ids, *block]], device=backbone.device)


@contextmanager
def _plainly(backbone: Backbone) -> Iterator[None]:
    """Without dropout and autocast, in all processes; the mode of every module is put back."""
    modes = {module: module.training for module in backbone.modules()}
    backbone.eval()
    try:
        with torch.autocast(backbone.device.type, enabled=False), in_step(backbone):
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def _sampled(vocabulary: int) -> Tensor:
    """Ids whose logits are the fingerprint."""
    return torch.linspace(0, vocabulary - 1, SAMPLES).long()


def save_weights(backbone: Backbone, path: Path, about: dict[str, Any]) -> None:
    """Write the trained weights and what is needed to check them; the file before survives a failure.

    The first process writes. Where weights are shared out, all of them have to come here. `about` are further plain
    facts, such as stage, update and accuracy.
    """
    first = is_first_process()
    metadata = {"rim": json.dumps({**describe_weights(backbone), **about})}
    state = collect(backbone.trainable_state(), keep=first)
    if first:
        write_bytes(path, safetensors.torch.save(state, metadata))


def read_about(path: Path) -> dict[str, Any]:
    """The facts that stand beside the weights.

    Raises:
        CheckpointError: the file is missing or is not one of ours.
    """
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.safetensors"))) or "none"
        raise CheckpointError(f"there are no weights '{path.stem}' in {path.parent}; there are: {known}")
    try:
        with safe_open(path, framework="pt") as file:
            return with_present_names(json.loads((file.metadata() or {})["rim"]))
    except (KeyError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path} is damaged or was not written by rim: {error!r}") from error


def with_present_names(about: dict[str, Any]) -> dict[str, Any]:
    """The facts beside a checkpoint, whose validation score older runs called held-out."""
    return {name.replace("heldout_", "validation_"): fact for name, fact in about.items()}


def load_weights(backbone: Backbone, path: Path) -> dict[str, Any]:
    """Load trained weights strictly, and check that the model answers as it did; returns the facts beside them.

    Raises:
        CheckpointError: another vocabulary, other names or shapes, or another fingerprint.
    """
    about = read_about(path)
    load_strictly(backbone, safetensors.torch.load_file(path), about, str(path))
    return about


def load_start(backbone: Backbone, path: Path) -> dict[str, Any]:
    """Load the weights of another run to begin from; returns the facts beside them.

    As strict as `load_weights`, but for what belongs to the other's method and seed: modules that a method adds
    (`extra.`) are taken where both have them, and stay as they are or behind where one has; memory may enter at another
    layer; and logits of the memory tokens may differ, whose rows of an untied head adapters do not store and no target
    asks for.

    Raises:
        CheckpointError: another vocabulary, other names or shapes, or another fingerprint.
    """
    about, state, own = read_about(path), safetensors.torch.load_file(path), backbone.trainable_state()
    shared = {name: value for name, value in state.items() if name in own or not name.startswith(EXTRA)}
    fresh = {name: value for name, value in own.items() if name.startswith(EXTRA)}
    plain = {name: fact for name, fact in about.items() if name != INSERTED}
    load_strictly(backbone, fresh | shared, plain, str(path), free_tokens=backbone.special.memory_tokens)
    return about


def load_strictly(
    backbone: Backbone, state: dict[str, Tensor], about: dict[str, Any], source: str, free_tokens: Sequence[int] = ()
) -> None:
    """Put trained weights in place; nothing may be missing, left over, of another shape or vocabulary.

    Args:
        free_tokens: ids whose logits need not be those of the fingerprint.

    Raises:
        CheckpointError: any of these, or a fingerprint that differs.
    """
    _check_vocabulary(backbone, about, source)
    if any(name.endswith(FORMER_ROWS) for name in state):
        state = {_renamed(name): value for name, value in state.items()}
        free_tokens = backbone.special.memory_tokens  # a tied head once had the trained rows, too
    own = backbone.trainable_state()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    shapes = [n for n in own.keys() & state.keys() if own[n].shape != state[n].shape]
    if missing or extra or shapes:
        raise CheckpointError(
            f"the weights of {source} do not fit this model: {len(missing)} missing {missing[:2]}, "
            f"{len(extra)} unknown {extra[:2]}, {len(shapes)} of another shape {sorted(shapes)[:2]}. "
            "Load them with the backbone and adapter settings of their own run (its config.yaml)"
        )
    put(state, own)
    _check_fingerprint(backbone, fingerprint(backbone), about["fingerprint"], source, free_tokens)
    if INSERTED in about:
        _check_fingerprint(backbone, inserted_fingerprint(backbone), about[INSERTED], source, free_tokens)


def _renamed(name: str) -> str:
    """The name of a weight today."""
    return name.removesuffix(FORMER_ROWS) + ROWS if name.endswith(FORMER_ROWS) else name


def _check_vocabulary(backbone: Backbone, about: dict[str, Any], source: str) -> None:
    here = (len(backbone.tokenizer), tokenizer_hash(backbone))
    if here != (about["vocabulary"], about["tokenizer"]):
        raise CheckpointError(
            f"the weights of {source} belong to a vocabulary of {about['vocabulary']} tokens (hash "
            f"{about['tokenizer']}), this tokenizer has {here[0]} (hash {here[1]}): "
            "use the tokenizer in the run folder of the weights"
        )


def _check_fingerprint(
    backbone: Backbone, found: list[float], expected: list[float], source: str, free_tokens: Sequence[int]
) -> None:
    sampled = _sampled(backbone.model.get_output_embeddings().out_features)
    compared = ~torch.isin(sampled, torch.tensor(free_tokens))
    found_S, wanted_S = (torch.tensor(each).unflatten(0, (-1, SAMPLES))[:, compared] for each in (found, expected))
    difference = (found_S - wanted_S).abs().max().item()
    share = 5e-2 if backbone.model.dtype == torch.bfloat16 else 1e-2
    allowed = share * max(1.0, wanted_S.abs().max().item())
    if not difference <= allowed:
        raise CheckpointError(
            f"the weights of {source} no longer give the logits that they gave when saved: they differ by "
            f"{difference:.2g}, allowed is {allowed:.2g}. The frozen base weights or a library have changed; compare "
            "environment.json of the run with this machine, and set backbone.revision"
        )
