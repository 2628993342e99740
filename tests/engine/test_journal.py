"""The journal: what a start holds, from its first step to its end, through crashes at any write."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.engine.config import EngineConfig
from wherry.engine.journal import RECENT, Journal, Launched, read
from wherry.engine.paths import ContainerPaths
from wherry.engine.preparation.cgroups import ParentCgroup
from wherry.engine.preparation.networks import NetworkEndpoint, PublishPort
from wherry.engine.preparation.storage import RuntimeDirectory
from wherry.errors import Internal
from wherry.runtime.oci_spec import Linux, Process, Spec
from wherry.runtime.steps import Exec, Hostname, Mount, MountFlag, Plan, Seccomp

ID = "a" * 64
INTENDED = (
    RuntimeDirectory("/run/a", "/run/a/m"),
    NetworkEndpoint("bridge", "wherry0", "eth0"),
    PublishPort("tcp", "0.0.0.0", 0, 0, 80),
    ParentCgroup("wherry"),
)
DONE = (
    INTENDED[0],
    NetworkEndpoint(
        "bridge", "wherry0", "eth0", "172.17.0.2/16", "172.17.0.1", "02:42:ac:11:00:02", "wh01", "n", "e"
    ),
    PublishPort("tcp", "0.0.0.0", 49153, 0, 80, "172.17.0.2/16"),
    INTENDED[3],
)
STEPS = (
    Hostname("web"),
    Mount("tmpfs", "tmpfs", "/tmp", MountFlag.NOSUID | MountFlag.NODEV, "size=1m"),
    Seccomp(bytes(range(256)), 3, "default"),
    Exec(("sh", "-c", "echo \udcff"), ("PATH=/bin",)),
)
SPEC = Spec(process=Process(args=["sh"]), linux=Linux(cgroups_path="/wherry/aaaa"))
LAUNCHED = Launched(Plan(STEPS, DONE), SPEC)


@pytest.fixture
def config(tmp_path: Path) -> EngineConfig:
    config = EngineConfig(data_root=tmp_path / "data", exec_root=tmp_path / "run")
    config.runtime_dir.mkdir(parents=True)
    return config


def test_from_intention_to_end(config: EngineConfig) -> None:
    journal, paths = Journal(config), ContainerPaths(config, ID)
    assert journal.under_way(ID) is None and journal.last(ID) is None
    journal.begin(ID, INTENDED)
    begun = later(config).under_way(ID)
    assert (
        begun is not None and begun.preparation == INTENDED and begun.spec is None and begun.plan.steps == ()
    )
    journal.keep(ID, LAUNCHED)
    for known in (journal.under_way(ID), later(config).under_way(ID)):
        assert known is not None and (known.plan, known.preparation) == (LAUNCHED.plan, DONE)
        assert known.spec == SPEC and known.cgroup == "/wherry/aaaa"
    assert not later(config).has_run(ID)
    journal.runs(ID)
    assert later(config).has_run(ID) and later(config).under_way(ID) == known
    journal.end(ID)
    for reader in (journal, later(config)):
        assert reader.under_way(ID) is None and not reader.has_run(ID)
        last = reader.last(ID)
        assert last is not None and last.plan == LAUNCHED.plan
    assert sorted(os.listdir(Path(paths.launch).parent)) == ["ended.json"]


def later(config: EngineConfig) -> Journal:
    """As another daemon reads it."""
    return Journal(config)


def test_a_new_start_takes_the_place_of_an_old_one(config: EngineConfig) -> None:
    journal = Journal(config)
    journal.begin(ID, INTENDED)
    journal.keep(ID, LAUNCHED)
    journal.begin(ID, INTENDED[:1])
    for reader in (journal, later(config)):
        known = reader.under_way(ID)
        assert known is not None and known.preparation == INTENDED[:1] and known.spec is None


def test_an_end_without_a_start_and_a_second_end(config: EngineConfig) -> None:
    journal = Journal(config)
    journal.end(ID)
    journal.begin(ID, INTENDED)
    journal.end(ID)
    journal.end(ID)
    assert journal.under_way(ID) is None and journal.last(ID) is not None


def test_the_last_is_the_one_that_runs(config: EngineConfig) -> None:
    journal = Journal(config)
    journal.begin(ID, INTENDED[:1])
    journal.end(ID)
    journal.begin(ID, INTENDED)
    for reader in (journal, later(config)):
        last = reader.last(ID)
        assert last is not None and last.preparation == INTENDED


def test_what_was_read_lately_is_not_read_again(config: EngineConfig) -> None:
    """As long as it is the same: each command in a container needs it. What is remembered has a bound."""
    ids = [f"{number:064x}" for number in range(RECENT + 1)]
    writer, reader = Journal(config), Journal(config)
    for id in ids:
        writer.begin(id, INTENDED)
        writer.keep(id, LAUNCHED)
    read_first = {id: reader.under_way(id) for id in ids}
    assert all(reader.under_way(id) is read_first[id] for id in reversed(ids[1:]))
    again = reader.under_way(ids[0])
    assert again is not read_first[ids[0]] and again is not None and again.plan == LAUNCHED.plan
    writer.begin(ids[-1], INTENDED[:1])
    changed = reader.under_way(ids[-1])
    assert changed is not None and changed.preparation == INTENDED[:1]


def test_files_are_the_owners_alone(config: EngineConfig) -> None:
    Journal(config).begin(ID, INTENDED)
    folder = Path(ContainerPaths(config, ID).launch).parent
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_a_crash_left_beside_the_file_does_not_count(config: EngineConfig) -> None:
    journal, launch = Journal(config), Path(ContainerPaths(config, ID).launch)
    journal.begin(ID, INTENDED)
    draft = launch.with_name(launch.name + ".new")
    draft.write_text('{"preparation": [["runt')
    known = later(config).under_way(ID)
    assert known is not None and known.preparation == INTENDED
    journal.keep(ID, LAUNCHED)
    assert not draft.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"preparation": 3}',
        b'{"preparation": [["levitate", {}]]}',
        b'{"preparation": [["runtime-directory", {}]]}',
        b'{"preparation": [["runtime-directory"]]}',
        b'{"preparation": [["parent-cgroup", {"path": "wherry", "cause": ["nobody", "x"]}]]}',
        b'{"preparation": [], "steps": [["seccomp", {"program": "!!", "flags": 0, "label": ""}]]}',
        b'{"preparation": [], "spec": [1]}',
        b"\xff\xfe\x00",
        b"\0" * 4096,
    ],
)
def test_an_unreadable_or_foreign_file_counts_as_absent(config: EngineConfig, content: bytes) -> None:
    launch = Path(ContainerPaths(config, ID).launch)
    launch.parent.mkdir()
    launch.write_bytes(content)
    journal = Journal(config)
    assert journal.under_way(ID) is None and journal.last(ID) is None
    journal.begin(ID, INTENDED)
    assert journal.under_way(ID) is not None


def test_a_directory_in_its_place_counts_as_absent_and_is_told_of(config: EngineConfig) -> None:
    launch = Path(ContainerPaths(config, ID).launch)
    launch.mkdir(parents=True)
    assert Journal(config).under_way(ID) is None
    with pytest.raises(Internal, match=r"cannot note what is to be started in .*: is a directory"):
        Journal(config).begin(ID, INTENDED)


@given(cut=st.integers(0, 5000), at=st.integers(0, 5000), byte=st.integers(0, 255))
def test_no_damage_makes_it_raise(
    tmp_path_factory: pytest.TempPathFactory, cut: int, at: int, byte: int
) -> None:
    config = EngineConfig(exec_root=tmp_path_factory.getbasetemp() / "damaged")
    config.runtime_dir.mkdir(parents=True, exist_ok=True)
    Journal(config).begin(ID, INTENDED)
    Journal(config).keep(ID, LAUNCHED)
    launch = Path(ContainerPaths(config, ID).launch)
    raw = bytearray(launch.read_bytes())
    raw[at % len(raw)] = byte
    launch.write_bytes(raw[: cut or None])
    known = read(launch)
    assert known is None or isinstance(known, Launched)


def test_it_can_be_read_by_a_person(config: EngineConfig) -> None:
    journal = Journal(config)
    journal.begin(ID, INTENDED)
    journal.keep(ID, LAUNCHED)
    document = json.loads(Path(ContainerPaths(config, ID).launch).read_bytes())
    assert document["preparation"][2][0] == "publish-port"
    assert document["preparation"][2][1]["host_port"] == 49153
    assert document["spec"]["process"]["args"] == ["sh"]


def test_what_was_read_is_kept_until_the_file_is_another(config: EngineConfig) -> None:
    journal, other = Journal(config), Launched(Plan((Hostname("db"), *STEPS[1:]), DONE), SPEC)
    journal.begin(ID, INTENDED)
    journal.keep(ID, LAUNCHED)
    first = journal.under_way(ID)
    assert first == LAUNCHED and journal.under_way(ID) is first
    journal.keep(ID, other)
    assert journal.under_way(ID) == other
    for number in range(100):  # only some are kept
        journal.begin(f"{number:064}", INTENDED)
        journal.keep(f"{number:064}", LAUNCHED)
        journal.under_way(f"{number:064}")
    again = journal.under_way(ID)
    assert again == other
    journal.end(ID)
    assert journal.under_way(ID) is None
