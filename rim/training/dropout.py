"""Which dropout acts in which stage: of the adapters and of the frozen base under LoRA, else of the whole model."""

from dataclasses import dataclass

from rim.backbone.adapters import adapted, no_dropout_on_experts
from rim.backbone.backbone import Backbone, BackboneError
from rim.backbone.dropout import Part, check_dropout, set_dropout
from rim.settings import Config
from rim.training.plan import Plan


@dataclass(frozen=True)
class Rate:
    """A rate that a stage sets, the part of the model that it acts in, and the name of its setting."""

    value: float
    part: Part
    setting: str


def rates(config: Config, plan: Plan, stage: int) -> list[Rate]:
    """The rates in force in a stage, counted from 0; parts that are not named keep the model's own."""
    found, lora = [], config.backbone.training == "lora"
    if lora and config.backbone.lora.base_dropout is not None:
        found.append(Rate(config.backbone.lora.base_dropout, "base", "backbone.lora.base_dropout"))
    own = plan.dropout(stage)
    if own is not None:
        found.append(Rate(own, "adapters" if lora else "whole", f"stages[{stage}].dropout"))
    return found


def use_dropout(backbone: Backbone, config: Config, plan: Plan, stage: int) -> None:
    """Set the rates in force in a stage."""
    for rate in rates(config, plan, stage):
        set_dropout(backbone, rate.value, rate.part)


def check_rates(backbone: Backbone, config: Config, plan: Plan) -> None:
    """Make sure, before training, that the rates of all stages will act.

    Raises:
        BackboneError: one does not, or adapters of experts are to have one.
    """
    experts = adapted(backbone).experts
    for rate in {each: None for stage in plan.stages for each in rates(config, plan, stage.index)}:
        if rate.part != "adapters":
            check_dropout(backbone, rate.value, rate.setting, rate.part)
        elif rate.value and experts:
            raise BackboneError(no_dropout_on_experts(f"{rate.setting} = {rate.value:g}", experts))
