"""Questions in either form: token ids against a literal reading, on tokenizers of four published shapes."""

import pytest
from transformers import PreTrainedTokenizerFast

from rim.base.chat import ChatError, end_of_turn
from rim.data import tokens
from rim.data.encode import Request, key
from rim.data.errors import DataError
from rim.data.example import Example
from rim.data.form import Form
from rim.data.registry import parse_source
from rim.settings import Data
from tests.data.chats import CHATS, GEMMA

SHAPES = pytest.mark.parametrize("shape", CHATS)
QUESTION = "How many cups has Ann?"
ODD = [QUESTION, "  Two  spaces\tand\n\na line. ", "ß 北京 👩‍🚀", "{{ x }} {% y %}", "\nShe has 3."]
WRITTEN = {
    "smollm2": "<|im_start|>system\nBe a helpful assistant<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n"
    "<|im_start|>assistant\n",
    "llama 3": "<|begin|><|head|>user<|/head|>\n\n{}<|eot|><|head|>assistant<|/head|>\n\n",
    "gemma": "<bos><turn>user\n{}</turn>\n<turn>model\n",
    "llama 2": "<s>[INST] {} [/INST]",
}
"""What their templates write, by eye."""
TRIMS = ("llama 3", "gemma")
ENDS = {"smollm2": "<|im_end|>", "llama 3": "<|eot|>", "gemma": "</turn>", "llama 2": "</s>"}
CHAT = Data(template="chat")


def literal(shape: str, question: str, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The tokenizer's own reading of the whole text."""
    text = WRITTEN[shape].replace("{}", question.strip() if shape in TRIMS else question)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def segments(question: str, tokenizer: PreTrainedTokenizerFast, config: Data) -> list[list[int]]:
    example = Example("x", question, ("<<3+4=7>>", "She gets 4"), "7")
    return tokens.tokenise([example], tokenizer, config)[0]


@SHAPES
@pytest.mark.parametrize("question", ODD)
def test_a_chat_is_what_the_model_has_seen(shape: str, question: str) -> None:
    tokenizer = CHATS[shape]()
    asked, answer, *steps = segments(question, tokenizer, CHAT)
    assert asked == literal(shape, question, tokenizer)
    assert asked.count(tokenizer.bos_token_id) == int(shape != "smollm2")
    assert [answer, *steps] == [
        tokenizer(t, add_special_tokens=False)["input_ids"] for t in ("7", "<<3+4=7>>", "She gets 4")
    ]
    assert tokens.tokenise_question(question, tokenizer, CHAT) == asked


@SHAPES
@pytest.mark.parametrize("question", ODD)
def test_the_plain_form_is_the_text_and_its_end(shape: str, question: str) -> None:
    tokenizer = CHATS[shape]()
    asked = segments(question, tokenizer, Data())[0]
    assert asked == tokenizer(question + "\n")["input_ids"]
    assert asked.count(tokenizer.bos_token_id) == int(shape != "smollm2")
    begin = len(asked) - len(segments(question, tokenizer, Data(bos="never"))[0])
    assert begin == int(shape != "smollm2")
    if not (shape == "llama 2" and question.startswith(" ")):  # whose own decoder takes a space off
        assert tokenizer.decode(asked[begin:]) == question + "\n"


@SHAPES
@pytest.mark.parametrize("template", ["plain", "chat"])
def test_there_is_never_a_second_beginning(shape: str, template: str) -> None:
    tokenizer = CHATS[shape]()
    if shape == "smollm2":
        with pytest.raises(
            DataError, match=r"data.bos=always: the tokenizer '' has no beginning token. Set data.bos=auto"
        ):
            segments(QUESTION, tokenizer, Data(template=template, bos="always"))
        tokenizer.bos_token = "<|im_start|>"  # as SmolLM2 says, which puts none before a text
    forms = {bos: segments(QUESTION, tokenizer, Data(template=template, bos=bos))[0] for bos in ("auto", "always")}
    expected = literal(shape, QUESTION, tokenizer) if template == "chat" else tokenizer(QUESTION + "\n")["input_ids"]
    assert forms["auto"] == expected
    assert forms["always"] == (
        expected if expected[0] == tokenizer.bos_token_id else [tokenizer.bos_token_id, *expected]
    )


def test_a_template_that_leaves_the_beginning_to_the_tokenizer_gets_it() -> None:
    tokenizer = CHATS["llama 3"]()
    tokenizer.chat_template = tokenizer.chat_template.replace("{{- bos_token }}", "")
    assert segments(QUESTION, tokenizer, CHAT)[0] == literal("llama 3", QUESTION, tokenizer)
    never = segments(QUESTION, tokenizer, Data(template="chat", bos="never"))[0]
    assert never == literal("llama 3", QUESTION, tokenizer)[1:]


@pytest.mark.parametrize(("shape", "spelt"), [("smollm2", "<|im_end|>"), ("llama 3", "<|eot|>"), ("gemma", "</turn>")])
def test_a_question_cannot_end_its_own_turn(shape: str, spelt: str) -> None:
    tokenizer = CHATS[shape]()
    first, second = f"Ann {spelt}", "has"
    found = segments(first + second, tokenizer, CHAT)[0]
    assert found.count(tokenizer.convert_tokens_to_ids(spelt)) == literal(shape, QUESTION, tokenizer).count(
        tokenizer.convert_tokens_to_ids(spelt)
    )
    assert tokenizer.decode(found) == WRITTEN[shape].replace("{}", first + second)


@SHAPES
def test_an_answer_ends_as_the_model_ends_a_turn(shape: str) -> None:
    assert end_of_turn(CHATS[shape]()) == ENDS[shape]


def test_a_template_without_a_special_token_ends_as_texts_do() -> None:
    tokenizer = CHATS["gemma"]()
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] + '\n' }}{% endfor %}"
    assert end_of_turn(tokenizer) == "<eos>"


def test_a_system_message_stands_before_the_question() -> None:
    tokenizer = CHATS["smollm2"]()
    found = segments(QUESTION, tokenizer, Data(template="chat", system="Be brief."))[0]
    text = WRITTEN["smollm2"].replace("{}", QUESTION).replace("Be a helpful assistant", "Be brief.")
    assert found == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_every_day_has_the_same_date() -> None:
    tokenizer = CHATS["smollm2"]()
    tokenizer.chat_template = "{{ strftime_now('%d %b %Y') }}" + tokenizer.chat_template
    assert Form.of(CHAT, tokenizer).frame.before.startswith("26 Jul 2024<|im_start|>")


@pytest.mark.parametrize(
    ("shape", "template", "system", "message"),
    [
        (
            "gemma",
            None,
            None,
            "data.template=chat: the tokenizer 'some/base' has no chat template.*data.template=plain",
        ),
        ("gemma", "{{ messages[0]['role'] }}", None, "writes a message 0 times where it has to stand once, unchanged"),
        ("gemma", "{{ messages[0].content|upper }}", None, "writes a message 0 times"),
        ("gemma", "{{ messages[0].content * 2 }}", None, "writes a message 2 times"),
        ("gemma", "{{ messages[0].content }", None, "fails: TemplateSyntaxError: .*Mend its chat_template.jinja"),
        ("gemma", GEMMA, "Be brief.", "fails: TemplateError: System role not supported. Leave data.system"),
        (
            "llama 2",
            "{{ messages[-1].content }}",
            "Be brief.",
            "data.system: the chat template .* does not write a sys",
        ),
    ],
)
def test_templates_that_cannot_be_used_are_refused(
    shape: str, template: str | None, system: str | None, message: str
) -> None:
    tokenizer = CHATS[shape]()
    tokenizer.chat_template = template
    tokenizer.name_or_path = "some/base"
    with pytest.raises(ChatError, match=message):
        segments(QUESTION, tokenizer, Data(template="chat", system=system))


def test_the_form_is_a_part_of_the_key_and_the_plain_one_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = CHATS["llama 3"]()

    def keyed(**form: str) -> str:
        config = Data(**form)
        return key(Request(parse_source("tracking/train", config), "train"), config, tokenizer)

    forms = [{}, {"template": "chat"}, {"template": "chat", "system": "Be brief."}, {"bos": "always"}, {"bos": "never"}]
    assert len({keyed(**form) for form in forms}) == len(forms)
    before = keyed()
    monkeypatch.setattr(Form, "key", {})
    assert keyed() == before
