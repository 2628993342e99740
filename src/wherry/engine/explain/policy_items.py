"""The lines of an explanation that say what the engine does for a container, which no kernel holds. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.engine.explain.planned import steps_of
from wherry.engine.preparation.policies import Policy
from wherry.engine.preparation.rights import LeftOut
from wherry.messages.explain import PolicyItem
from wherry.runtime.mounts import size_word
from wherry.runtime.steps import Log, Plan, Stdio
from wherry.values.words import counted


def policy_items(plan: Plan) -> Iterator[PolicyItem]:
    """Its streams and its log, then what was asked for, then what it does without."""
    for streams in steps_of(plan, Stdio):
        yield PolicyItem(name="streams", value=stream_words(streams), cause=str(streams.cause))
    for log in steps_of(plan, Log):
        yield PolicyItem(name="log", value=log_words(log), cause=str(log.cause))
    for policy in steps_of(plan, Policy):
        yield PolicyItem(name=policy.what, value=policy.value, cause=str(policy.cause))
    for without in steps_of(plan, LeftOut):
        yield PolicyItem(name="left out", value=without.what, cause=str(without.cause))


def stream_words(streams: Stdio) -> str:
    kind = "a terminal" if streams.tty else "pipes"
    if not streams.stdin:
        return f"{kind}; standard input is empty"
    return f"{kind}; standard input is open" + (
        ", until its first client leaves" if streams.stdin_once else ""
    )


def log_words(log: Log) -> str:
    """``json-file, at most 3 files of 1m``."""
    if not log.max_size:
        return "json-file, without a limit"
    return f"json-file, at most {counted(log.max_file, 'file')} of {size_word(log.max_size)}"
