"""A plan as people and programs read it, and two plans compared. Pure."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from wherry.messages.plan import Difference, PlanDifference, PlanView, StepView
from wherry.runtime import capabilities
from wherry.runtime.steps import KINDS, Capabilities, Heading, Plan, Step


def view(plan: Plan, masked: Mapping[str, str] | None = None) -> PlanView:
    """The plan for a reader. ``masked`` texts (a container's id, say) are replaced by words everywhere."""
    return PlanView(steps=[step_view(n, phase, step, masked or {}) for n, phase, step in numbered(plan)])


def numbered(plan: Plan) -> Iterator[tuple[int, str, Step]]:
    """The steps in the order of execution, with their numbers and who does them."""
    phase, number = "monitor", 0
    for step in plan.preparation:
        number += 1
        yield number, "engine", step
    for step in plan.steps:
        number += 1
        yield number, phase, step
        if step.name == "clone":
            phase = "container"


def step_view(number: int, phase: str, step: Step, masked: Mapping[str, str]) -> StepView:
    """One step for a reader, with ``masked`` texts replaced."""
    arguments = {
        f.name: argument(getattr(step, f.name))
        for f in dataclasses.fields(step)
        if f.name != "cause" and not f.metadata.get("hidden")
    }
    shown: StepView = replace_texts(
        StepView(
            number=number,
            phase=phase,
            heading=step.heading.value,
            name=step.name,
            text=printable(step.describe()),
            origin=step.cause.origin.value,
            cause=printable(step.cause.text),
            arguments=arguments,
        ),
        masked,
    )
    return shown


def argument(value: Any) -> Any:
    """JSON has no bytes and no flags: text where it is text, base64 where it is not."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, tuple):
        return [argument(item) for item in value]
    if isinstance(value, str):
        return printable(value)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def printable(text: str) -> str:
    """JSON is UTF-8, and names of files are bytes: what is no UTF-8 is replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def replace_texts(value: Any, masked: Mapping[str, str]) -> Any:
    """The same with each text of ``masked`` replaced, at any depth."""
    if not masked:
        return value
    if isinstance(value, str):
        for text, word in masked.items():
            value = value.replace(text, word)
        return value
    if isinstance(value, list):
        return [replace_texts(item, masked) for item in value]
    if isinstance(value, dict):
        return {key: replace_texts(item, masked) for key, item in value.items()}
    if isinstance(value, msgspec.Struct):
        fields = {name: replace_texts(getattr(value, name), masked) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **fields)
    return value


# ---------------------------------------------------------------- two plans


def identity(step: StepView) -> tuple[str, str]:
    """What makes a step the same one in two plans."""
    return step.name, KINDS[step.name].identify(step.arguments)


def compare(a: PlanView, b: PlanView, name_a: str, name_b: str) -> PlanDifference:
    """Only what differs, under the headings' order. Causes and numbers alone are no difference."""
    first, second = {identity(s): s for s in a.steps}, {identity(s): s for s in b.steps}
    keys = [*first, *(key for key in second if key not in first)]
    differences = [d for key in keys if (d := difference(first.get(key), second.get(key)))]
    order = [heading.value for heading in Heading]
    return PlanDifference(
        a=name_a, b=name_b, differences=sorted(differences, key=lambda d: order.index(d.heading))
    )


def difference(a: StepView | None, b: StepView | None) -> Difference | None:
    """What differs between two steps that are the same one; None for nothing."""
    if a is not None and b is not None and a.arguments == b.arguments:
        return None
    step = a or b
    assert step is not None  # a key comes from one of the two
    return Difference(heading=step.heading, name=step.name, what=changed(a, b), a=a, b=b)


def changed(a: StepView | None, b: StepView | None) -> str:
    """In words: what is more and what is less."""
    if a is None or b is None:
        step = a or b
        return f"only in {'A' if b is None else 'B'}: {step.text if step else ''}"
    if a.name == Capabilities.name:
        return capability_words(a.arguments["bounding"], b.arguments["bounding"])
    return f"{a.text} → {b.text}"


def capability_words(a: int, b: int) -> str:
    parts: Iterable[tuple[str, int]] = (("more", b & ~a), ("fewer", a & ~b))
    texts = [
        f"{mask.bit_count()} {word} in B ({', '.join(capabilities.names_of(mask))})"
        for word, mask in parts
        if mask
    ]
    return f"capabilities: {', '.join(texts)}" if texts else "the capability sets differ"
