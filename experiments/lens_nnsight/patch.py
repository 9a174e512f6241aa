# %% [markdown]
# # One intervention on the blocks of an export, without a line of RiM's code
#
# The states of all memory blocks of one question, at the input of one layer, are put into another question, with
# transformers and nnsight alone. `python -m rim.analyze --only patch` counts what becomes of answers; here one of them
# is followed. Open this file as a notebook (VS Code, or Jupyter with jupytext), or run it:
#
#     pip install 'rim[analysis]'
#     python experiments/lens_nnsight/patch.py exports/x "Ann has the pin. Ann and Bob swap. Who has the pin?" \
#         "Ann has the pin. Ann and Tom swap. Who has the pin?" 1

# %%
import json
import sys

import torch
from nnsight import NNsight
from transformers import AutoModelForCausalLM, AutoTokenizer

FOLDER, RECEIVER, DONOR, LAYER = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
tokenizer = AutoTokenizer.from_pretrained(FOLDER)
model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()
torch.set_grad_enabled(False)


# %% [markdown]
# The chat template of an export writes the question and its blocks. Both questions must have as many tokens, since
# states are put at the same positions.


# %%
def prompt(question: str) -> torch.Tensor:
    """[1, N] token ids of a question with its blocks."""
    chat = [{"role": "user", "content": question}]
    text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    return tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids


receiver_1N, donor_1N = prompt(RECEIVER), prompt(DONOR)
assert receiver_1N.shape == donor_1N.shape, "the two questions have different numbers of tokens"
memory = [token for name, token in tokenizer.get_vocab().items() if name in ("<|b|>", "<|/b|>") or name[:3] == "<|m"]
blocks_N = torch.isin(receiver_1N[0], torch.tensor(memory))
print(f"{int(blocks_N.sum())} of {len(blocks_N)} tokens are in blocks", file=sys.stderr)

# %% [markdown]
# What the layer is given, in the donor's question: the output of the layer before, or the embeddings.

# %%
traced = NNsight(model)
layers = traced.transformer.h if hasattr(model, "transformer") else traced.model.layers
with traced.trace(donor_1N):
    donor_1ND = layers[LAYER].input.save()


# %% [markdown]
# Greedy decoding, and how probable the first token is. The whole text is read again for every token, each time with the
# donor's states in the blocks.


# %%
def answer(start_1N: torch.Tensor, state_1ND: torch.Tensor | None = None, most: int = 16) -> tuple[str, float]:
    """The answer to a prompt and the probability of its first token; `state_1ND`: the donor's stand in its blocks."""
    ids_1N, probabilities = start_1N, []
    for _ in range(most):
        with traced.trace(ids_1N):
            if state_1ND is not None:
                layers[LAYER].input[:, : len(blocks_N)][:, blocks_N] = state_1ND[:, blocks_N]
            logits_1NV = traced.output.logits.save()
        logits_V = logits_1NV[0, -1].index_fill(0, torch.tensor(memory), float("-inf"))
        token = int(logits_V.argmax())
        probabilities.append(float(logits_V.softmax(0)[token]))
        if token == tokenizer.eos_token_id:
            break
        ids_1N = torch.cat([ids_1N, torch.tensor([[token]])], dim=1)
    text = str(tokenizer.decode(ids_1N[0, start_1N.shape[1] :], skip_special_tokens=True))
    return text.strip(), probabilities[0]


# %%
found = {"receiver": answer(receiver_1N), "donor": answer(donor_1N), "patched": answer(receiver_1N, donor_1ND)}
print(json.dumps(found))
