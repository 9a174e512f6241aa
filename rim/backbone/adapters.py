"""LoRA adapters: which matrices of a model can have one, and which get one.

Candidates are the projections inside the layers: linear layers, and the stacked matrices of routed experts. A router
never gets an adapter: it decides where a token goes, and some families' routers return more than a tensor.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer, ParamWrapper
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from rim.backbone.backbone import Backbone, BackboneError
from rim.backbone.insertion import layer_stack
from rim.backbone.memory_rows import MemoryEmbedding
from rim.backbone.tokenizer import SpecialTokens
from rim.settings import Lora

ALL = "all-linear"
ROUTERS = {"router", "gate", "shared_expert_gate"}
"""Parts of the names of modules that route tokens to experts, or weigh an expert that all tokens share."""
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Targets:
    """Full names of what gets an adapter: linear layers, and parameters that stack the matrices of experts."""

    modules: tuple[str, ...] = ()
    experts: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.modules, *self.experts)


def add_adapters(model: PreTrainedModel, config: Lora, special: SpecialTokens) -> PeftModel:
    """LoRA on the projections, and the memory rows of the embedding; every other weight is frozen.

    Raises:
        BackboneError: a name in `config.targets` fits nothing, a projection cannot have an adapter, or experts are to
            have adapters with dropout.
    """
    targets = choose(model, config.targets)
    if targets.experts and config.dropout:
        raise BackboneError(no_dropout_on_experts(f"backbone.lora.dropout = {config.dropout:g}", targets.experts))
    settings = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=list(targets.modules) or None,
        target_parameters=list(targets.experts) or None,
        fan_in_fan_out=any(isinstance(model.get_submodule(name), Conv1D) for name in targets.modules),
        task_type="CAUSAL_LM",
    )
    with _names_as_they_are(model):
        adapted = get_peft_model(model, settings)
    _keep_dropout_layers(adapted)
    table: Any = model.get_input_embeddings()
    model.set_input_embeddings(MemoryEmbedding(table, special.memory_tokens))
    return adapted


def choose(model: PreTrainedModel, wanted: Sequence[str]) -> Targets:
    """What gets an adapter: all projections, or those whose names end in one of the wanted ones.

    Raises:
        BackboneError: a name fits nothing, or (where all are wanted) a projection cannot have one; names them.
    """
    found, unfit = candidates(model)
    if list(wanted) == [ALL]:
        if unfit:
            raise BackboneError(
                f"backbone.lora.targets=[{ALL}] is every attention and MLP projection, and {in_words(unfit)} of "
                f"'{model.config.model_type}' cannot have an adapter: name the ones to adapt, "
                f"backbone.lora.targets=[{', '.join(_endings(found.names))}]"
            )
        return found
    for name in wanted:
        if not any(_ends_in(full, name) for full in found.names):
            raise BackboneError(
                f"backbone.lora.targets names '{name}', and no projection of '{model.config.model_type}' is called so; "
                f"there are {', '.join(_endings(found.names))}, or {ALL} for all of them"
            )
    chosen = ([full for full in part if any(_ends_in(full, name) for name in wanted)] for part in vars(found).values())
    return Targets(*map(tuple, chosen))


def candidates(model: PreTrainedModel) -> tuple[Targets, tuple[str, ...]]:
    """The projections of a model's layers, and names of matrices in them that are neither these nor routers."""
    inside = {id(module) for module in layer_stack(model)[1].modules()}
    modules, experts, unfit = [], [], []
    for path, module in model.named_modules():
        if id(module) not in inside or _routes(path, module):
            continue
        if isinstance(module, nn.Linear | Conv1D):
            modules.append(path)
        elif not isinstance(module, nn.Embedding):
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.ndim == 3 and not isinstance(module, CONVOLUTIONS):
                    experts.append(f"{path}.{name}")
                elif parameter.ndim >= 2 and not name.endswith("bias"):
                    unfit.append(f"{path}.{name}")
    return Targets(tuple(modules), tuple(experts)), tuple(unfit)


def in_words(names: Sequence[str]) -> str:
    """Full names in short: from the layer on, with the number of layers that have one."""
    counts = Counter(re.sub(r"^.*?\.\d+\.", "", name) for name in names)
    return ", ".join(f"{name} ({count})" for name, count in counts.items())


def adapted(backbone: Backbone) -> Targets:
    """What has an adapter, by the names of the model without adapters; nothing where every weight trains."""
    if not isinstance(backbone.model, PeftModel):
        return Targets()
    modules, experts = [], []
    for path, module in backbone.model.get_base_model().named_modules():
        if isinstance(module, ParamWrapper):
            experts.append(f"{path.replace('.base_layer', '')}.{module.parameter_name}")
        elif isinstance(module, LoraLayer):
            modules.append(path)
    return Targets(tuple(modules), tuple(experts))


def no_dropout_on_experts(setting: str, experts: Sequence[str]) -> str:
    """The message about a rate that adapters of experts cannot have."""
    return (
        f"{setting}: adapters of routed experts ({in_words(experts)}) take no dropout, since each is added to a whole "
        "stack of matrices. Set backbone.lora.dropout=0 and no dropout in any stage (stages.*.dropout=0), or leave the "
        "experts without adapters by naming other backbone.lora.targets"
    )


def _routes(path: str, module: nn.Module) -> bool:
    """Whether a module, or one that it is part of, decides which expert reads a token."""
    return "Router" in type(module).__name__ or not ROUTERS.isdisjoint(path.split("."))


def _ends_in(full: str, name: str) -> bool:
    return full == name or full.endswith(f".{name}")


def _endings(names: Sequence[str]) -> list[str]:
    """The last part of each name, once."""
    return list(dict.fromkeys(name.rpartition(".")[2] for name in names))


@contextmanager
def _names_as_they_are(model: PreTrainedModel) -> Iterator[None]:
    """Targets mean what they say.

    For some mixtures of experts peft takes names as transformers 4 had them: a shared expert's `gate_proj` would become
    the routed experts' stack, and `gate` the router. It asks the configuration for the family, which is hidden here.
    """
    config: Any = model.config
    config.model_type = ""
    try:
        yield
    finally:
        del config.model_type  # the class says it again


def _keep_dropout_layers(model: nn.Module) -> None:
    """peft drops the dropout layer where its rate is 0; a later stage may raise it, so the layer has to be there.

    Adapters of experts have none: `no_dropout_on_experts`.
    """
    for module in model.modules():
        if isinstance(module, LoraLayer) and not hasattr(module, "parameter_name"):
            for key, layer in module.lora_dropout.items():
                if isinstance(layer, nn.Identity):
                    module.lora_dropout[key] = nn.Dropout(0.0)
