"""Texts that must have a form: which tokens a grammar leaves after each token, and what that says of drafts.

``compile_guide`` makes a ``Guide`` of what a request asks for; everything about grammars is done by llguidance.
"""

from frspec.speculation.guidance.compiling import compile_guide
from frspec.speculation.guidance.guide import LARGEST_TREE, Guide

__all__ = ["LARGEST_TREE", "Guide", "compile_guide"]
