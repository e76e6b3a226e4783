"""The commands inside ``frspec chat``.

Knows: the session, how to print. Does not know: models, input.
"""

from __future__ import annotations

from frspec import hub
from frspec.cli.chat_session import Session
from frspec.cli.conversations import save_conversation
from frspec.cli.figures import accepted_shares, plural, time_shares
from frspec.cli.terminal import Notices
from frspec.errors import UserError
from frspec.types import StepStats

HELP = {
    "/again": "answer the last question once more",
    "/reset": "begin a new conversation",
    "/save FILE": "write the conversation; --messages FILE resumes it",
    "/stats": "how fast it went so far, and where the time went",
    "/help": "this list",
    "/exit": "leave; so does Ctrl-D",
    "Ctrl-C": "stop the answer",
    "line \\": "goes on in the next line",
    '"""': "begins and ends a message of several lines",
}


def run_command(line: str, session: Session, notices: Notices) -> bool:
    """Do what ``line`` says; returns whether the conversation goes on.

    Raises:
        UserError: when there is no such command, or it cannot be done.
    """
    name, _, argument = line.partition(" ")
    if f"{name} FILE" in HELP and not argument:
        raise UserError(f"{name} needs the name of a file")
    if name in HELP and argument:
        raise UserError(f"{name} stands alone; what is {argument!r}?")
    match name:
        case "/again":
            session.take_back()
        case "/reset":
            session.reset()
            notices.say("a new conversation")
        case "/save":
            path = hub.local(argument.strip())
            save_conversation(session.messages, path)
            notices.say(f"saved {plural(len(session.messages), 'message')} in {path}")
        case "/stats":
            notices.table(_stats(session))
        case "/help":
            notices.table(HELP)
        case "/exit":
            return False
        case _:
            raise UserError(f'unknown command {name}; /help lists them; a message may begin with / inside """')
    return True


def _speculation(metrics: StepStats) -> dict[str, str]:
    """Nothing where nothing is known: other servers do not tell."""
    if not metrics.target_passes:
        return {}
    return {
        "mean acceptance length": f"{metrics.mean_acceptance_length:.2f} over {metrics.target_passes} passes",
        "accepted at position": accepted_shares(metrics) or "none",
    }


def _stats(session: Session) -> dict[str, str]:
    totals, seconds = session.totals, session.seconds
    metrics, last = totals.metrics, session.last
    rows = {
        "tokens": f"{totals.tokens} in {plural(totals.answers, 'answer')}",
        "tok/s": f"{totals.tokens_per_second:.1f}",
        **_speculation(metrics),
        "cached prompt tokens": f"{totals.cached_tokens} of {totals.prompt_tokens}",
        "time": time_shares(seconds) or "none yet",
    }
    if metrics.draft_failures:
        rows["drafter"] = f"failed {metrics.draft_failures} times; the text went on without it"
    if last is not None and session.max_model_len is not None:
        used = len(last.prompt_token_ids) + len(last.outputs[0].token_ids)
        rows["context"] = f"{used} of {session.max_model_len} tokens"
    return rows
