"""Self-distillation: a student's states before the answer follow those of the model's own chain of thought (CODI).

Axes: P pairs, L layers (and the embedding), D width.
"""

from torch import Tensor
from torch.nn.functional import smooth_l1_loss

SMALLEST = 1e-6
"""A teacher's state may be flat (in the embedding of a constant token it is not, but nothing forbids it)."""


def distance(student_PLD: Tensor, teacher_PLD: Tensor) -> Tensor:
    """[P] smooth L1 distance to the teacher's states, which receive no gradient: mean over width and layers, each
    layer divided by the teacher's standard deviation there.

    CODI (arXiv 2502.21074) takes the deviation over a batch; here it is over the width of one state, so that an
    example's loss does not depend on the examples it shares a batch with.
    """
    teacher_PLD = teacher_PLD.detach().float()
    scale_PL = teacher_PLD.std(-1).clamp(min=SMALLEST)
    apart_PL = smooth_l1_loss(student_PLD.float(), teacher_PLD, reduction="none").mean(-1)
    return (apart_PL / scale_PL).mean(-1)
