"""Small tokenizers of the shapes of published ones, with their chat templates, as transformers would load them."""

import json
from collections.abc import Callable

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

TEXTS = [
    "How many cups has Ann?\nShe has 3 and gets 4 more. user system assistant model\n\n",
    "<<3+4=7>> #### 7 INST Be brief. a helpful assistant",
]
CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nBe a helpful assistant<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{{- bos_token }}{% for message in messages %}{{ '<|head|>' + message['role'] + '<|/head|>\n\n' + "
    "message['content'] | trim + '<|eot|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|head|>assistant<|/head|>\n\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{{ '<turn>' + ('model' if message['role'] == 'assistant' else 'user') + '\n' + "
    "message['content'] | trim + '</turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<turn>model\n' }}{% endif %}"
)
LLAMA2 = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + message['content'] + "
    "' [/INST]' }}{% else %}{{ ' ' + message['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
)


def _made(made: Tokenizer, special: list[str], template: str, bos: str | None, eos: str) -> PreTrainedTokenizerFast:
    made.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    if bos is not None:
        pieces = {"single": f"{bos} $A", "pair": f"{bos} $A {bos} $B"}
        made.post_processor = processors.TemplateProcessing(special_tokens=[(bos, made.token_to_id(bos))], **pieces)
    more = {} if bos is None else {"bos_token": bos}
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=eos, chat_template=template, **more)


def _byte_level() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, show_progress=False))
    return made


def _sentencepiece(prefix: bool) -> Tokenizer:
    """A BPE over ▁ with byte fallback; `prefix`: with a ▁ before the first word of a text, as in Llama 2."""
    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    scheme = "first" if prefix else "never"
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    if not prefix:
        made.normalizer = normalizers.Replace(" ", "▁")
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        + ([decoders.Strip(" ", 1, 0)] if prefix else [])
    )
    special = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    made.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=380, special_tokens=special, show_progress=False))
    return _ordinary_bytes(made)


def _ordinary_bytes(made: Tokenizer) -> Tokenizer:
    """Bytes are entries of the vocabulary and no special tokens, as in published files."""
    state = json.loads(made.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] == "<unk>"]
    return Tokenizer.from_str(json.dumps(state))


CHATS: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "smollm2": lambda: _made(_byte_level(), ["<|im_start|>", "<|im_end|>"], CHATML, None, "<|im_end|>"),
    "llama 3": lambda: _made(
        _byte_level(), ["<|begin|>", "<|end|>", "<|head|>", "<|/head|>", "<|eot|>"], LLAMA3, "<|begin|>", "<|eot|>"
    ),
    "gemma": lambda: _made(_sentencepiece(False), ["<bos>", "<eos>", "<turn>", "</turn>"], GEMMA, "<bos>", "<eos>"),
    "llama 2": lambda: _made(_sentencepiece(True), ["<s>", "</s>"], LLAMA2, "<s>", "</s>"),
}
