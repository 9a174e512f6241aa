"""The backbone: a causal language model that reads trees of tokens.

Axes: B examples, N tokens of a tree, Q query tokens, J key tokens, U predicting positions, S supervised tokens,
V vocabulary.
"""

from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import Cache, PreTrainedModel, PreTrainedTokenizerBase

from rim.backbone.attention import attention_mask
from rim.backbone.tokenizer import SpecialTokens
from rim.tree import TreeBatch


@dataclass(frozen=True)
class Reading:
    """What a forward pass is asked for besides its tokens: who sees whom, where, and which logits are wanted.

    `visible_BQJ` bool; `query_BQ` and `key_BJ` position ids; `keep` as `logits_to_keep` of transformers: bool [B, Q]
    (logits come flat, [U, V]) or integer [B, P] (logits come as [B, P, V]).
    """

    visible_BQJ: Tensor
    query_BQ: Tensor
    key_BJ: Tensor
    keep: Tensor


class Backbone(nn.Module):
    """A Hugging Face causal language model (adapted or not), its tokenizer and its special tokens."""

    def __init__(
        self, model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, special: SpecialTokens
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.special = special

    @property
    def positions(self) -> int | None:
        """Longest sequence that the model can read, in positions; None where it states no limit."""
        return getattr(self.model.config, "max_position_embeddings", None)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.model.parameters()).device

    def forward(self, ids_BQ: Tensor, reading: Reading, cache: Cache | None = None) -> Tensor:
        """Logits at the positions of `reading.keep`, and only there.

        Args:
            ids_BQ: token ids.
            reading: visibility, positions and wanted logits.
            cache: keys and values of earlier tokens; those of these tokens are appended.
        """
        mask = attention_mask(
            self.model.config, reading.visible_BQJ, reading.query_BQ, reading.key_BJ, self.model.dtype
        )
        return self.model(
            input_ids=ids_BQ,
            attention_mask=mask,
            position_ids=reading.query_BQ,
            past_key_values=cache,
            use_cache=cache is not None,
            logits_to_keep=reading.keep,
        ).logits

    def supervised_logits(self, batch: TreeBatch) -> Tensor:
        """[S, V] logits that predict the supervised tokens of a batch, from one forward pass over its trees.

        A position that predicts the first token of several leaves is computed once and repeated.
        """
        chosen_U, row_S = torch.unique_consecutive(batch.source_S, return_inverse=True)
        keep = torch.zeros(batch.ids_BN.shape, dtype=torch.bool, device=batch.ids_BN.device)
        keep.view(-1)[chosen_U] = True
        reading = Reading(batch.visible_BNN(), batch.position_BN, batch.position_BN, keep)
        logits_UV = self(batch.ids_BN, reading)
        return logits_UV if len(chosen_U) == len(row_S) else logits_UV[row_S]

    def trainable_state(self) -> dict[str, Tensor]:
        """Weights that training changes, by name: all of them, or the adapters and the memory rows."""
        names = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        return {name: value for name, value in self.state_dict().items() if name in names}


def set_dropout(model: nn.Module, rate: float, *, adapters_only: bool) -> None:
    """Set the dropout of the adapters, or of every layer of the model (attention included)."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout) and (not adapters_only or "lora_dropout" in name):
            module.p = rate
        elif not adapters_only and isinstance(getattr(module, "attention_dropout", None), int | float):
            module.attention_dropout = rate
