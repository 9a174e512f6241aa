"""The backbone: a causal language model that reads trees of tokens.

Axes: B examples, Q query tokens, J key tokens, P positions, U predicting positions, D width, V vocabulary.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import CausalLMOutputWithPast

from rim.backbone.attention import attention_mask
from rim.backbone.compiled import CompiledLayers
from rim.backbone.head import Head, find_head
from rim.backbone.insertion import Insertion, InsertionError, MemoryCache
from rim.backbone.memory_rows import trained
from rim.backbone.tokenizer import SpecialTokens
from rim.base.errors import UserError


class BackboneError(UserError):
    """A backbone that cannot be built from its settings, or used as they ask."""


@dataclass(frozen=True)
class Reading:
    """What a forward pass is asked for besides its tokens: who sees whom, where, and which logits are wanted.

    `visible_BQJ` bool; `query_BQ` and `key_BJ` position ids; `keep` the flat indices [U] (into B x Q) of the tokens
    whose logits are wanted (logits come as [U, V]), or as `logits_to_keep` of transformers: bool [B, Q] (the same, but
    a GPU is waited for) or integer [B, P] (logits come as [B, P, V]); `real_BQ` bool, which tokens are no padding
    (None: all); `text` the most tokens of a row that are neither memory nor padding (None: counted on the device).
    """

    visible_BQJ: Tensor
    query_BQ: Tensor
    key_BJ: Tensor
    keep: Tensor
    real_BQ: Tensor | None = None
    text: int | None = None


INSERTION = "insertion"
"""Name of the insertion among the modules that a method adds."""


class Backbone(nn.Module):
    """A Hugging Face causal language model (adapted or not), its tokenizer and its special tokens.

    `extra` holds the modules that a method adds, by name; `head`, once it is split off, makes logits of last states.
    """

    def __init__(
        self, model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, special: SpecialTokens
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.special = special
        self.extra = nn.ModuleDict()
        self.head: Head | None = None
        self.compiled: CompiledLayers | None = None

    def eval(self) -> "Backbone":
        """Evaluation mode. Where backbone, model and what a method adds are in it, modules are not walked through.

        The walk takes 0.8 ms at 16 layers, and every answer asks for it.
        """
        parts = (self, self.model, *self.extra.values())
        return super().eval() if any(part.training for part in parts) else self

    @property
    def config(self) -> PretrainedConfig:
        """Configuration of the language model: of one that reads more than text, the part about text."""
        return self.model.config.get_text_config()

    @property
    def causal(self) -> PreTrainedModel:
        """The language model without the wrapping of adapters; what they changed in it stays."""
        model: Any = self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model
        return model

    def split_head(self) -> None:
        """From now on training makes logits a part at a time; where the model does not allow it, nothing changes."""
        self.head = find_head(self.causal)

    def read_text(self, ids_BN: Tensor) -> Tensor:
        """[B, N, V] logits of the model itself, which is given nothing but token ids."""
        logits: Tensor = self.model(input_ids=ids_BN, use_cache=False).logits
        return logits

    def compile_layers(self, **options: Any) -> None:
        """From now on the layers run under torch.compile in training, where memory does not enter above layer 0.

        `options` are those of torch.compile.

        Raises:
            BackboneError: the layers do not stand in one module below a head.
        """
        if self.head is None:
            raise BackboneError(
                f"training.compile = true: the layers of '{self.config.model_type}' cannot be told from what stands "
                "above them; set training.compile=false"
            )
        self.compiled = CompiledLayers(self.causal.get_submodule(self.head.path), options)

    @property
    def positions(self) -> int | None:
        """Longest sequence that the model can read, in positions; None where it states no limit."""
        return getattr(self.config, "max_position_embeddings", None)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.model.parameters()).device

    @property
    def width(self) -> int:
        """Size D of the layers' states."""
        return int(self.config.hidden_size)

    def require_even_width(self, what: str) -> None:
        """Refuse a model whose embeddings are narrower than its states, such as OPT-350m.

        Args:
            what: the setting that needs embeddings and states of one size, as the beginning of a sentence.

        Raises:
            BackboneError: embeddings and states differ in size.
        """
        embedded = self.embed(torch.zeros(1, 1, dtype=torch.long, device=self.device)).shape[-1]
        if embedded != self.width:
            raise BackboneError(
                f"{what} needs embeddings and states of one size, and this model ({self.config.model_type}) has "
                f"embeddings of {embedded} and states of {self.width}: use another backbone.name, or leave it out"
            )

    def embed(self, ids_BQ: Tensor) -> Tensor:
        """[B, Q, D] inputs of the tokens, before positions."""
        return self.model.get_input_embeddings()(ids_BQ)

    @property
    def insertion(self) -> Insertion | None:
        """Where memory enters above layer 0; None: it is read as tokens."""
        if INSERTION not in self.extra:
            return None
        found = self.extra[INSERTION]
        assert isinstance(found, Insertion)
        return found

    def insert_memory(self, layer: int, *, position: bool) -> None:
        """Let memory enter at the input of a layer, in vectors of its own that begin as its tokens' embeddings.

        Args:
            layer: 0 to the model's layers - 1.
            position: whether embeddings of positions are added there, where the model has them.

        Raises:
            BackboneError: the model's embeddings are narrower than its states.
            InsertionError: the model has no such layer, or layers that cannot be given other inputs.
        """
        self.require_even_width(f"memory.insertion_layer = {layer}")
        tokens = self.special.memory_tokens
        first_TD = trained(self.embed(torch.tensor(tokens, device=self.device)))
        self.extra[INSERTION] = Insertion(self.causal, tokens, first_TD, layer, position=position)

    def memory_as_tokens(self) -> AbstractContextManager[None]:
        """Inside, memory is read from layer 0 on, wherever it enters otherwise."""
        return nullcontext() if self.insertion is None else self.insertion.suspended()

    def new_cache(self) -> MemoryCache:
        """An empty cache for passes of this backbone."""
        return MemoryCache(0 if self.insertion is None else self.insertion.layer)

    def forward(
        self, inputs: Tensor, reading: Reading, cache: MemoryCache | None = None, *, states: bool = False
    ) -> CausalLMOutputWithPast:
        """One pass: `logits` at the positions of `reading.keep` and only there, `hidden_states` of all layers if asked.

        Args:
            inputs: token ids [B, Q], or inputs in their place [B, Q, D].
            reading: visibility, positions and wanted logits.
            cache: keys and values of earlier tokens; those of these tokens are appended.
            states: whether to give the states [B, Q, D] of the embedding and of every layer, the last one normed.

        Raises:
            InsertionError: memory enters above layer 0, and inputs are no token ids or states are asked for.
        """
        mask = attention_mask(self.config, reading.visible_BQJ, reading.query_BQ, reading.key_BJ, self.model.dtype)
        flat = reading.keep.ndim == 1
        with self._inserting(inputs, reading, cache, states=states), self._kept(reading.keep if flat else None):
            output: CausalLMOutputWithPast = self.model(
                **{"inputs_embeds" if inputs.is_floating_point() else "input_ids": inputs},
                attention_mask=mask,
                position_ids=reading.query_BQ,
                past_key_values=cache,
                use_cache=cache is not None,
                logits_to_keep=0 if flat else reading.keep,
                output_hidden_states=states,
            )
        if flat and output.logits is not None:
            output.logits = output.logits[0]
        return output

    @contextmanager
    def _kept(self, flat_U: Tensor | None) -> Iterator[None]:
        """The head is given these tokens alone: by their numbers, since a mask would be waited for."""
        if flat_U is None:
            yield
            return
        select = lambda _, given: (given[0].flatten(0, 1).index_select(0, flat_U)[None], *given[1:])  # noqa: E731
        with self.model.get_output_embeddings().register_forward_pre_hook(select):
            yield

    @contextmanager
    def below_head(self) -> Iterator[list[Tensor]]:
        """The states [B, Q, D] that logits are made of, of every pass that is made inside; only with a `head`.

        Where layers are compiled, these passes run them in training mode; in evaluation mode operations are counted.
        """
        assert self.head is not None
        acting = self.compiled.acting() if self.compiled is not None and self.training else nullcontext()
        with acting, self.head.watched(self.causal) as found:
            yield found

    def token_losses(self, states_SD: Tensor, target_S: Tensor) -> Tensor:
        """[S] negative log-likelihoods in nats of the tokens that follow these last states."""
        assert self.head is not None
        return self.head.losses(self.causal, states_SD, target_S)

    def _inserting(
        self, inputs: Tensor, reading: Reading, cache: MemoryCache | None, *, states: bool
    ) -> AbstractContextManager[None]:
        """What a pass of the model happens in."""
        if self.insertion is None or not self.insertion.acts:
            return nullcontext()
        if inputs.is_floating_point() or states:
            given = "states of every layer are asked for" if states else "inputs are given in the place of tokens"
            raise InsertionError(
                f"{given}, and memory enters at layer {self.insertion.layer}, below which it has none: "
                "set memory.insertion_layer=0"
            )
        return self.insertion.acting(inputs, reading.query_BQ, reading.real_BQ, cache, reading.text)

    def trainable_state(self) -> dict[str, Tensor]:
        """Weights that training changes, by name: all of them, or the adapters and the memory rows."""
        return {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}
