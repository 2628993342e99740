"""Why a container does not run, in a sentence: how it ended, and who or what ended it. Pure."""

from __future__ import annotations

from signal import SIGINT, SIGKILL, SIGQUIT, SIGTERM

from wherry.engine.record import Asked, ContainerRecord, ContainerState, Failure
from wherry.messages.base import ZERO_TIME
from wherry.runtime.mounts import size_word
from wherry.values.signals import HIGHEST, NAMES, signal_name
from wherry.values.sizes import spaced_memory
from wherry.values.words import counted

BY_SIGNAL = 128  # and its number: the exit code of a process that a signal ended
START_FAILED = (126, 127, 128)  # as long as nothing else was kept of it
NOT_STARTED = {126: ", as its command cannot be executed", 127: ", as its command was not found"}
SHELLS = {126: "a command that cannot be executed", 127: "a command that was not found"}
TO_END = (SIGINT, SIGQUIT, SIGKILL, SIGTERM)
MEANINGS = {
    "SIGABRT": "it gave up",
    "SIGBUS": "a bad memory access",
    "SIGFPE": "a bad calculation",
    "SIGILL": "a bad instruction",
    "SIGSEGV": "a bad memory access",
    "SIGSYS": "a bad system call",
}


def how_it_ended(record: ContainerRecord, state: ContainerState) -> str:
    """For a container without a process."""
    code, never = state.exit_code, state.started_at == ZERO_TIME
    match failure_of(state):
        case Failure.LOST:
            return f"Lost: {state.error}. Its exit code is not known; {code} stands for it."
        case Failure.START:
            began = "It did" if never else "The last time, it did"
            return f"{began} not start ({code}){NOT_STARTED.get(code, '')}: {state.error}"
        case Failure.MONITOR:
            return f"{by_its_code(record, state)} {state.error[0].upper()}{state.error[1:]}."
    return "It has not been started." if never else by_its_code(record, state)


def failure_of(state: ContainerState) -> Failure:
    """As it was kept; guessed for a container whose last end an earlier version recorded."""
    if state.failure is not Failure.NONE or not state.error:
        return state.failure
    return Failure.START if state.exit_code in START_FAILED else Failure.LOST


def by_its_code(record: ContainerRecord, state: ContainerState) -> str:
    code = state.exit_code
    asked = state.asked if state.asked is not None and is_cause(state.asked, code) else None
    said = after(asked, code) if asked is not None else by_itself(code)
    return with_memory(record, said, code, asked) if state.oom_killed else said


def with_memory(record: ContainerRecord, said: str, code: int, asked: Asked | None) -> str:
    """Of one that ran out of memory: that ended it, or came before its end."""
    limit = record.host_config.memory
    where = f"at its limit of {spaced_memory(limit)} (--memory {size_word(limit)})" if limit else ""
    if record.host_config.oom_kill_disable:
        return f"{said} Before that, it had run out of memory {where or 'on the host'}, and waited for more."
    where = where or "for want of memory"
    if asked is None and code == BY_SIGNAL + SIGKILL:
        return f"Ended with {code}: the kernel killed it {where}."
    return f"{said} Before that, the kernel had killed one of its processes {where}."


def is_cause(asked: Asked, code: int) -> bool:
    """Whether it ended because of what was asked: many signals are sent to be handled."""
    if asked.by != "kill" or asked.killed_after is not None:
        return True
    return code == BY_SIGNAL + asked.signal or asked.signal in TO_END


def after(asked: Asked, code: int) -> str:
    by, signal = f"`{asked.by}`", name_of(asked.signal)
    if asked.killed_after is not None:
        return f"Ended with {code}: {by} sent it {signal}, and SIGKILL {counted(asked.killed_after, 'second')} later."
    if code == BY_SIGNAL + asked.signal:
        return f"Ended with {code}: {by} sent it {signal}."
    return f"Ended with {code}, its own exit code, after {by} had sent it {signal}."


def by_itself(code: int) -> str:
    if code in SHELLS:
        return f"Ended with {code}, its own exit code; shells use it for {SHELLS[code]}."
    if BY_SIGNAL < code <= BY_SIGNAL + HIGHEST:
        name = name_of(code - BY_SIGNAL)
        meaning = f", {MEANINGS[name]}" if name in MEANINGS else ""
        return f"Ended with {code}, the code for {name}{meaning}; nobody sent that through the engine."
    return f"Ended with {code}, its own exit code."


def name_of(signal: int) -> str:
    """``SIGTERM``; ``signal 40`` for one without a name."""
    return f"SIG{signal_name(signal)}" if signal <= len(NAMES) else f"signal {signal}"
