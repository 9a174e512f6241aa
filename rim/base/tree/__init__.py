"""A tree of tokens, from which layout, mask, positions and labels of every method follow, and batches of trees."""

from rim.base.tree.batch import TreeBatch, pad, pad_lines
from rim.base.tree.tree import Flat, Ids, Kind, Node, Pair, Tree

__all__ = ["Flat", "Ids", "Kind", "Node", "Pair", "Tree", "TreeBatch", "pad", "pad_lines"]
