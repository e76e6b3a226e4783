"""A whole training: read, regenerate if asked, train, write the head.

Knows: the order of these and where each leaves its files. Does not know: terminals.
Beside the output HEAD a run keeps HEAD.training (removed at the end) and HEAD.regenerated (kept for reruns).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path

from torch import Tensor

from frspec.artifacts import check_place, provenance
from frspec.engine.drafting import always
from frspec.engine.llm import LLM
from frspec.errors import UserError
from frspec.models import save_eagle
from frspec.ranking.ranking import Ranking
from frspec.speculation.vocabulary import DraftVocabulary, Spec
from frspec.text.sources import Document, Documents
from frspec.train.corpus import Corpus, epoch
from frspec.train.examples import Example, encode_documents
from frspec.train.loop import Progress, Settings, Trainer, held_out_prompts, rows_of
from frspec.train.regenerate import Regeneration, regenerate
from frspec.train.step import filled

PROMPTS = 16
"""Held-out prompts that acceptance is measured on."""
SMALLEST = 8
"""Tokens of a worker's part: shorter pieces of documents teach nothing."""
RATE_TIMES_WIDTH = 0.384
"""Default learning rate: this over the hidden size, as maximal-update scaling has it (arXiv 2203.03466). 3e-3 at 128,
the best of a sweep there; 1e-4 at 4,096."""


@dataclass(frozen=True)
class Plan:
    """What the user asked for, in tokens and steps; None leaves a choice to the model and the corpus."""

    epochs: int = 10
    steps: int | None = None
    batch_tokens: int = 4096
    seq_len: int | None = None
    learning_rate: float | None = None
    noise: float = 0.1
    seed: int = 0
    held_out: float = 0.05
    eval_every: int | None = None
    prompt_tokens: int = 32
    workers: int = 1
    ranking: str | Path | None = None
    draft_vocab: Spec = None

    def __post_init__(self) -> None:
        if self.part < SMALLEST:
            raise UserError(f"batch_tokens {self.batch_tokens} is too little for {self.workers} workers; raise it")

    @property
    def part(self) -> int:
        """Tokens of a step that one worker gets."""
        return self.batch_tokens // self.workers

    def vocabulary(
        self, vocab_size: int, always: Iterable[int] = (0,), fingerprint: str | None = None
    ) -> DraftVocabulary:
        """What the token loss is over. Without the last two, for a look before a model is loaded: some of it."""
        ranking = None if self.ranking is None else Ranking.load(self.ranking)
        return DraftVocabulary.build(self.draft_vocab, ranking, always, vocab_size, fingerprint)


Read = Callable[[], Documents]
Report = Callable[[str, int, int], None]
"""Told what is being prepared, how much of it is done, and of how much (0 when unknown)."""


def check_output(output: Path) -> None:
    """Find out before a model is loaded whether a head can be written to ``output``.

    Raises:
        UserError: when it cannot, or something is there that no run has begun.
    """
    if output.exists() and not _state_of(output).exists():
        raise UserError(f"{output} is already there; choose another name, or delete it")
    check_place(output, folder=True)


def _state_of(output: Path) -> Path:
    return output.parent / f"{output.name}.training"


class Run:
    """One training of a head for ``llm``'s target on what ``read`` opens, to be written to ``output``.

    ``documents`` may be read twice: to encode, and to regenerate.
    """

    def __init__(self, llm: LLM, model: str, read: Read, output: Path, plan: Plan, report: Report) -> None:
        self.llm, self.model, self.read, self.output, self.plan, self.report = llm, model, read, output, plan, report
        self.sources: list[str] = []
        self.folder = _state_of(output)
        self.kept = output.parent / f"{output.name}.regenerated"
        check_output(output)

    def prepare(self, regenerated: bool) -> Trainer:
        """Read the corpus, let the target rewrite it if ``regenerated``, and take up the state of a killed run."""
        rows, vocabulary = self._rows()
        documents = self.read()
        whole = Corpus.of(self._counted("encoding", encode_documents(self.llm.get_tokenizer(), documents), 0))
        corpus, held_out = whole.split(self.plan.held_out)
        self.sources = [str(file) for file in documents.files]
        context = self.llm.max_model_len
        seq_len = min(self.plan.seq_len or self.plan.part, context)
        if regenerated:
            rewrite = Regeneration(self.plan.prompt_tokens, seq_len, self.plan.seed, corpus.digest())
            first: Iterator[Document] = islice(self.read(), len(corpus))
            shards = regenerate(self.llm, first, rewrite, self.kept)
            examples = (example for shard in shards for example in shard)
            corpus = Corpus.of(self._counted("regenerating", examples, len(corpus)))
        settings = self._settle(corpus, seq_len)
        prompts = held_out_prompts(held_out, self.plan.prompt_tokens, PROMPTS, context) if len(held_out) else []
        facts = {"held_out": self.plan.held_out, "prompt_tokens": self.plan.prompt_tokens, "regenerated": regenerated,
                 "dtype": str(self.llm.engine.target.dtype).removeprefix("torch."),
                 "draft_vocab": vocabulary}  # fmt: skip
        return Trainer(self.llm, corpus, rows, prompts, settings, self.folder / "state.safetensors", facts)

    def train(self, trainer: Trainer) -> Iterator[Progress]:
        """Every step; after the last one the head is written and the state removed."""
        yield from trainer.run()
        self.write(trainer)

    def write(self, trainer: Trainer) -> None:
        """The head with its provenance; then the state is no longer needed."""
        state, target = trainer.state, self.llm.engine.target
        facts = provenance(
            kind="eagle head",
            model=self.model,
            sources=self.sources,
            regenerated=self.kept.name if trainer.identity["regenerated"] else None,
            corpus_tokens=len(trainer.corpus.tokens),
            trained_tokens=state.tokens,
            settings={name: value for name, value in trainer.identity.items() if name != "model"},
            history=state.history,
        )
        save_eagle(self.output, trainer.config, state.tensors, target.dtype, {"schema": 1, **facts})
        shutil.rmtree(self.folder, ignore_errors=True)

    def _rows(self) -> tuple[Tensor, str]:
        """The rows of the LM head that the token loss is over, and what tells them from others."""
        target, tokenizer = self.llm.engine.target, self.llm.get_tokenizer()
        vocabulary = self.plan.vocabulary(target.config.vocab_size, always(target, tokenizer), tokenizer.fingerprint)
        if vocabulary.full:
            return target.head, "full"
        return vocabulary.rows(
            target.head
        ), f"{len(vocabulary)} ids, {sha256(vocabulary.ids.numpy().tobytes()).hexdigest()[:16]}"

    def _settle(self, corpus: Corpus, seq_len: int) -> Settings:
        plan = self.plan
        lengths = rows_of(corpus.windows(seq_len))
        parts = sum(sum(1 for _ in epoch(lengths, filled(plan.part), plan.seed, n)) for n in range(plan.epochs))
        steps = plan.steps or -(-parts // plan.workers)
        width = self.llm.engine.target.config.hidden_size
        return Settings(
            steps=steps,
            batch_tokens=plan.batch_tokens,
            workers=plan.workers,
            seq_len=seq_len,
            learning_rate=plan.learning_rate or RATE_TIMES_WIDTH / width,
            noise=plan.noise,
            seed=plan.seed,
            eval_every=plan.eval_every or max(1, steps // 10),
        )

    def _counted(self, what: str, examples: Iterator[Example], total: int) -> Iterator[Example]:
        for number, example in enumerate(examples, 1):
            yield example
            self.report(what, number, total)
