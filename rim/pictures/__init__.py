"""Pictures for people: an example's tree and mask, the tree as text, and the curves of a run.

Figures are made without pyplot, so nothing is kept open and no display is needed: `figure.savefig(path)`.
"""

from rim.pictures.curve import curve_picture
from rim.pictures.outline import tree_text
from rim.pictures.tree import tree_cards, tree_picture

__all__ = ["curve_picture", "tree_cards", "tree_picture", "tree_text"]
