"""How an untouched base model is asked: directly or for its own chain of thought, after solved examples or none.

It is asked in the form of the run. With data.template=chat solved examples are earlier turns of a chat, whose system
message is the run's, and a direct reply is begun for the model, which would rather explain than answer. With plain the
model continues a text:

    Question: ...
    Answer: <steps>                    of solved examples, and of a chain alone
    #### <answer>

    Question: ...
    Answer: Let's think step by step.  of a chain without solved examples
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rim.backbone.decode import Prompt
from rim.base.chat import Frame, frame_of
from rim.base.tree import Kind, Node, Tree
from rim.data.encode import EncodedExample
from rim.data.example import MARK, Example
from rim.data.form import Form
from rim.evaluation.evaluator import Evaluator
from rim.methods.direct import Direct
from rim.settings import Config, Data, Stage

NEXT = "\nQuestion:"
"""Where a model that continues a text goes on to a question of its own."""
THINK = " Let's think step by step."
WANTED = {
    False: "Reply with the final answer alone.",
    True: f"Think step by step. End with a line of its own: {MARK} and the final answer.",
}
"""What a chat asks for, directly and for a chain."""
BEGUN = "The answer is"
"""What a direct reply of a chat begins with, and those of solved examples."""


@dataclass(frozen=True)
class Way:
    """A way of asking: for a chain of thought or directly, after these solved examples."""

    chain: bool
    solved: tuple[Example, ...]

    @property
    def name(self) -> str:
        """`direct-0-shot`, `cot-4-shot`: the folder of its results."""
        return f"{'cot' if self.chain else 'direct'}-{len(self.solved)}-shot"

    def frame(self, config: Data, tokenizer: Any) -> Frame:
        """What stands around a question, in the form that the settings name.

        Raises:
            ChatError: the form is a chat, and the tokenizer's template cannot be used.
        """
        if config.template == "plain":
            solved = "".join(f"Question: {each.question}\nAnswer: {self._reply(each)}\n\n" for each in self.solved)
            think = THINK if self.chain and not self.solved else ""
            return Frame(f"{solved}Question: ", f"\nAnswer:{think}", trims=False)
        wish, begun = f"\n{WANTED[self.chain]}", "" if self.chain else BEGUN
        turns = [(f"{each.question}{wish}", f"{begun} {self._reply(each)}".strip()) for each in self.solved]
        frame = frame_of(tokenizer, config.system, turns, wish)
        return replace(frame, after=frame.after + begun)

    def _reply(self, solved: Example) -> str:
        return "\n".join((*solved.steps, f"{MARK} {solved.answer}")) if self.chain else solved.answer


class BaseModel(Direct):
    """Reads answers after the prompt of a way of asking; nothing of it is trained."""

    def __init__(self, config: Config, tokenizer: Any, way: Way) -> None:
        super().__init__(config, tokenizer)
        self.tokenizer, self.way, self.chats = tokenizer, way, config.data.template == "chat"
        self.form = replace(Form.of(config.data, tokenizer), frame=way.frame(config.data, tokenizer))

    def prompt(self, example: EncodedExample, stage: Stage | None = None, blocks: int | None = None) -> Prompt:
        """The prompt of the example's text, which its tokens have no part in."""
        (ids,) = self.form.ids([example.text], self.tokenizer)
        return Prompt(Tree((Node(Kind.QUESTION, tuple(ids)),)), (0,))

    def writes_chain(self, stage: Stage | None = None) -> bool:
        """Whether it is asked for one."""
        return self.way.chain

    def own_part(self, text: str) -> str:
        """What was generated in reply: a chain whole, of a direct one the first line; a text that is continued goes on
        to more questions."""
        reply = text.strip() if self.chats else text.partition(NEXT)[0].strip()
        return reply if self.way.chain else reply.partition("\n")[0]

    def answer_in(self, text: str, stage: Stage | None = None) -> str:
        """The line after the first mark; without one all of it, in which the rule of the task finds the answer."""
        _, mark, after = text.partition(MARK)
        return after.strip().partition("\n")[0] if mark else text.strip()


class BaseEvaluator(Evaluator):
    """Takes a base model's own reply out of what it went on to write."""

    method: BaseModel

    def read(self, *given: Any, **more: Any) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """For each prompt the answer, and the reply that it stands in."""
        found: Sequence[tuple[tuple[str, ...], tuple[str, ...]]] = super().read(*given, **more)
        replies = [tuple(map(self.method.own_part, texts)) for _, texts in found]
        return [(tuple(map(self.method.answer_in, each)), each) for each in replies]
