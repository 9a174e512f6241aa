"""Activation checkpointing: in training, layers keep their inputs alone and are computed again for gradients."""

from typing import Any

from rim.backbone.backbone import Backbone, BackboneError


def checkpoint_layers(backbone: Backbone) -> None:
    """Checkpoint every layer from now on, where the model trains; losses and gradients stay the same, dropout included.

    Raises:
        BackboneError: transformers has no checkpointing for this family.
    """
    model: Any = backbone.causal
    try:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    except ValueError as error:
        raise BackboneError(
            f"training.checkpointing = full: transformers cannot checkpoint layers of '{model.config.model_type}'; set "
            "training.checkpointing=none, or use another backbone"
        ) from error
    model.disable_input_require_grads()  # only reentrant checkpointing needs gradients of embeddings
