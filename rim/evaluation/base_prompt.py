"""How an untouched base model is asked: directly or for its own chain of thought, after solved examples or none.

A model with a chat template is asked in it, solved examples as earlier turns. Any other one continues a text:

    Question: ...
    Answer: <steps>                    of solved examples, and of a chain alone
    #### <answer>

    Question: ...
    Answer: Let's think step by step.  of a chain without solved examples
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rim.backbone.decode import Prompt
from rim.data.encode import EncodedExample
from rim.data.example import MARK, Example
from rim.evaluation.evaluator import Evaluator
from rim.methods.direct import Direct
from rim.settings import Config, Stage
from rim.tree import Kind, Node, Tree

NEXT = "\nQuestion:"
"""Where a model that continues a text goes on to a question of its own."""
THINK = " Let's think step by step."
WANTED = {
    False: "Reply with the final answer alone.",
    True: f"Think step by step. End with a line of its own: {MARK} and the final answer.",
}
"""What a chat asks for, directly and for a chain."""


@dataclass(frozen=True)
class Way:
    """A way of asking: for a chain of thought or directly, after these solved examples."""

    chain: bool
    solved: tuple[Example, ...]

    @property
    def name(self) -> str:
        """`direct-0-shot`, `cot-4-shot`: the folder of its results."""
        return f"{'cot' if self.chain else 'direct'}-{len(self.solved)}-shot"

    def text(self, question: str) -> str:
        """What a model without a chat template continues."""
        begun = "".join(f"Question: {each.question}\nAnswer: {self._reply(each)}\n\n" for each in self.solved)
        return f"{begun}Question: {question}\nAnswer:{THINK if self.chain and not self.solved else ''}"

    def messages(self, question: str) -> list[dict[str, str]]:
        """What a model with a chat template replies to."""
        turns: list[dict[str, str]] = []
        for each in self.solved:
            turns += [self._asked(each.question), {"role": "assistant", "content": self._reply(each)}]
        return [*turns, self._asked(question)]

    def _reply(self, solved: Example) -> str:
        return "\n".join((*solved.steps, f"{MARK} {solved.answer}")) if self.chain else solved.answer

    def _asked(self, question: str) -> dict[str, str]:
        return {"role": "user", "content": f"{question}\n{WANTED[self.chain]}"}


class BaseModel(Direct):
    """Reads answers after the prompt of a way of asking; nothing of it is trained."""

    def __init__(self, config: Config, tokenizer: Any, way: Way) -> None:
        super().__init__(config, tokenizer)
        self.tokenizer, self.way = tokenizer, way
        self.chats = tokenizer.chat_template is not None

    def prompt(self, example: EncodedExample, stage: Stage | None = None, blocks: int | None = None) -> Prompt:
        """The prompt of the example's text, which its tokens have no part in."""
        return Prompt(Tree((Node(Kind.QUESTION, self._ids(example.text)),)), (0,))

    def writes_chain(self, stage: Stage | None = None) -> bool:
        """Whether it is asked for one."""
        return self.way.chain

    def own_part(self, text: str) -> str:
        """What was generated in reply; a text that is continued has more questions and lines after it."""
        if self.chats:
            return text
        reply = text.partition(NEXT)[0].strip()
        return reply if self.way.chain else reply.partition("\n")[0]

    def answer_in(self, text: str, stage: Stage | None = None) -> str:
        """The line after the first mark; without one all of it, in which the rule of the task finds the answer."""
        _, mark, after = text.partition(MARK)
        return after.strip().partition("\n")[0] if mark else text.strip()

    def _ids(self, question: str) -> list[int]:
        if self.chats:
            asked = self.way.messages(question)
            chat: list[int] = self.tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
            return chat
        ids: list[int] = self.tokenizer(self.way.text(question), split_special_tokens=True)["input_ids"]
        return ids[:-1] if ids[-1] == self.tokenizer.eos_token_id else ids


class BaseEvaluator(Evaluator):
    """Takes a base model's own reply out of what it went on to write."""

    method: BaseModel

    def read(self, *given: Any, **more: Any) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """For each prompt the answer, and the reply that it stands in."""
        found: Sequence[tuple[tuple[str, ...], tuple[str, ...]]] = super().read(*given, **more)
        replies = [tuple(map(self.method.own_part, texts)) for _, texts in found]
        return [(tuple(map(self.method.answer_in, each)), each) for each in replies]
