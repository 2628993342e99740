"""``--change``: the instructions that set an image's config."""

from __future__ import annotations

import pytest

from wherry.errors import InvalidArgument
from wherry.image.changes import apply_changes
from wherry.image.manifest import RunConfig
from wherry.messages.base import Nothing


def keys(*names: str) -> dict[str, Nothing]:
    return dict.fromkeys(names, Nothing())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (['CMD ["a", "b c"]'], RunConfig(cmd=["a", "b c"])),
        (["cmd echo $HOME && ls"], RunConfig(cmd=["/bin/sh", "-c", "echo $HOME && ls"])),
        (["CMD [not json"], RunConfig(cmd=["/bin/sh", "-c", "[not json"])),
        (['ENTRYPOINT ["/x"]', "ENTRYPOINT y"], RunConfig(entrypoint=["/bin/sh", "-c", "y"])),
        (
            ["ENV A=1", 'ENV A=2 B="x y" C=a\\ b', "ENV D some words"],
            RunConfig(env=["A=2", "B=x y", "C=a b", "D=some words"]),
        ),
        (["LABEL k=v 'a b'=c", "LABEL k="], RunConfig(labels={"k": "", "a b": "c"})),
        (["EXPOSE 80 8000-8001/UDP"], RunConfig(exposed_ports=keys("80/tcp", "8000/udp", "8001/udp"))),
        (["USER 10:20", "STOPSIGNAL SIGINT"], RunConfig(user="10:20", stop_signal="SIGINT")),
        (['VOLUME ["/a", "/b c"]', "VOLUME /d /e"], RunConfig(volumes=keys("/a", "/b c", "/d", "/e"))),
        (["WORKDIR a", "WORKDIR ../b", "WORKDIR c"], RunConfig(working_dir="/b/c")),
        (["ONBUILD RUN x"], RunConfig(on_build=["RUN x"])),
        (["CMD a \\\n  b", "# a comment\nUSER u"], RunConfig(cmd=["/bin/sh", "-c", "a    b"], user="u")),
    ],
)  # fmt: skip
def test_instructions(changes: list[str], expected: RunConfig) -> None:
    assert apply_changes(RunConfig(), changes) == expected


def test_changes_build_on_what_is_there() -> None:
    config = RunConfig(env=["PATH=/bin", "A=0"], labels={"x": "1"}, cmd=["old"])
    changed = apply_changes(config, ["ENV A=1", "LABEL y=2"])
    assert changed == RunConfig(env=["PATH=/bin", "A=1"], labels={"x": "1", "y": "2"}, cmd=["old"])
    assert config.env == ["PATH=/bin", "A=0"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("RUN ls", "run is not a valid change command"),
        ("CMD", "CMD requires at least one argument"),
        ("ENV A", "ENV must have two arguments"),
        ("ENV A=1 B", "expected name=value"),
        ("ENV A='x", "ENV"),
        ("EXPOSE 0", "invalid containerPort: 0"),
        ("EXPOSE 70000", "invalid containerPort"),
        ("EXPOSE 90-80", "invalid containerPort"),
        ("EXPOSE 80/icmp", "invalid containerPort"),
        ("USER a b", "exactly one argument"),
        ('VOLUME [""]', "empty string"),
    ],
)
def test_wrong_ones_are_named(change: str, match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        apply_changes(RunConfig(), [change])


@pytest.mark.parametrize(
    "changes",
    [["EXPOSE 1-65535"] * 3000, ["EXPOSE " + "1-65535/udp " * 5000], ["ENV a=b"] * 2000],
    ids=["lines", "words", "variables"],
)
def test_changes_have_a_bound(changes: list[str]) -> None:
    with pytest.raises(InvalidArgument, match="more than 1000 changes, or 262144 ports"):
        apply_changes(RunConfig(), changes)


def test_all_ports_may_be_exposed() -> None:
    every = ["EXPOSE 1-65535 1-65535/udp 1-65535/sctp"]
    assert len(apply_changes(RunConfig(), every).exposed_ports or ()) == 3 * 65535
