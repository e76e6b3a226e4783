"""The nouns every floor shares: what a request asks for, what a draft looks like, what comes out."""

from frspec.types.outputs import CompletionOutput as CompletionOutput
from frspec.types.outputs import Delta as Delta
from frspec.types.outputs import Logprob as Logprob
from frspec.types.outputs import RequestOutput as RequestOutput
from frspec.types.outputs import Round as Round
from frspec.types.params import SamplingParams as SamplingParams
from frspec.types.params import StructuredOutputs as StructuredOutputs
from frspec.types.stats import RequestMetrics as RequestMetrics
from frspec.types.stats import StepStats as StepStats
from frspec.types.tree import TokenTree as TokenTree
