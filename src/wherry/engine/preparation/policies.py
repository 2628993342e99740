"""What a container is to have that no kernel holds: how it is stopped, what becomes of it, what it is labelled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wherry.engine.config import EngineConfig
from wherry.engine.preparation.step import EngineStep
from wherry.engine.task import Task
from wherry.image.manifest import RunConfig
from wherry.messages.container import Config
from wherry.runtime.causes import flagged, switched, together, whose
from wherry.runtime.steps import Cause, Heading, Origin
from wherry.values.signals import ending_signal, parse_signal, signal_name
from wherry.values.words import counted, shortened

LONGEST = 2000  # characters of what is told of labels; the plan is kept in memory


@dataclass(frozen=True, slots=True)
class Policy(EngineStep):
    """Something that the engine keeps in mind: nothing is done now."""

    name, heading = "policy", Heading.PROCESS
    identity = "what"
    compared = True
    what: str
    value: str

    def describe(self) -> str:
        return f"{self.what}: {self.value}"


def policies(task: Task, defaults: EngineConfig) -> Iterator[Policy]:
    """What the request and the image ask for; of what is as it always is there is nothing to say."""
    if task.host.auto_remove:
        yield Policy(
            "when it ends",
            "remove it, with its writable layer and its log",
            cause=switched("--rm", on=True),
        )
    yield from stopping(task.config, task.image, defaults)
    yield from pairs("labels", "--label", task.config.labels or {}, task.image.labels or {})
    yield from pairs("annotations", "--annotation", task.host.annotations or {}, {})
    yield from exposed(task)


def stopping(config: Config, image: RunConfig, defaults: EngineConfig) -> Iterator[Policy]:
    """How ``stop`` ends it."""
    signal, seconds = config.stop_signal, config.stop_timeout
    if not signal and seconds is None:
        return
    cause = together(
        whose(f"--stop-signal {signal}", signal, image.stop_signal, "STOPSIGNAL"),
        flagged("--stop-timeout", [] if seconds is None else [seconds]),
    )
    yield Policy(
        "to stop it", stop_words(signal, defaults.stop_timeout if seconds is None else seconds), cause=cause
    )


def stop_words(signal: str, seconds: int) -> str:
    """``SIGINT, then SIGKILL after 10 seconds``; less than no time is for ever."""
    patience = "and no other, however long it takes"
    if seconds >= 0:
        patience = f"then SIGKILL after {counted(seconds, 'second')}"
    name = signal_name(parse_signal(ending_signal(signal)))
    return f"{f'signal {name}' if name.isdecimal() else f'SIG{name}'}, {patience}"


def pairs(what: str, flag: str, own: dict[str, str], of_image: dict[str, str]) -> Iterator[Policy]:
    """Names with values, the image's among them."""
    if own:
        asked = [f"{name}={value}" for name, value in own.items() if of_image.get(name) != value]
        from_image = Cause(Origin.IMAGE, "LABEL")
        parts = [flagged(flag, asked), *([from_image] if len(asked) < len(own) else [])]
        told = ", ".join(f"{name}={value}" for name, value in own.items())
        yield Policy(what, shortened(told, LONGEST), cause=together(*parts))


def exposed(task: Task) -> Iterator[Policy]:
    """Ports that are only said to be there: nothing leads to them until they are published."""
    published: Iterable[str] = task.host.port_bindings or ()
    if task.host.publish_all_ports:
        return
    ports = [port for port in task.config.exposed_ports or () if port not in published]
    own = [port for port in ports if port not in (task.image.exposed_ports or ())]
    if ports:
        from_image = Cause(Origin.IMAGE, "EXPOSE")
        parts = [flagged("--expose", own), *([from_image] if len(own) < len(ports) else [])]
        yield Policy("exposed, not published", shortened(", ".join(ports), LONGEST), cause=together(*parts))
