"""The store: each noun's repository, and transactions over several."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from wherry.content.digest import Digest
from wherry.engine.image_record import ImageRecord
from wherry.engine.record import ContainerRecord, ContainerState, Phase
from wherry.engine.store import Store
from wherry.engine.store.networks import NetworkRecord
from wherry.errors import Conflict
from wherry.image.manifest import ImageConfig
from wherry.messages.container import Config, EndpointSettings, HostConfig


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "wherry.db")
    yield store
    store.close()


def again(store: Store, tmp_path: Path) -> Store:
    """The store as another daemon would find it."""
    store.close()
    return Store(tmp_path / "wherry.db")


def container(id: str = "a", name: str = "web") -> ContainerRecord:
    return ContainerRecord(
        id=id * 64,
        name=name,
        created="2024-05-01T10:00:00Z",
        path="sh",
        args=["-c", "true"],
        config=Config(image="busybox", env=["A=1"], labels={"ü": "ö"}),
        host_config=HostConfig(network_mode="bridge", memory=1 << 26),
        image="sha256:" + "c" * 64,
        networks={"bridge": EndpointSettings(aliases=["front"])},
    )


def image(id: str = "1") -> ImageRecord:
    return ImageRecord(
        id=Digest("sha256:" + id * 64),
        config=ImageConfig(architecture="amd64", os="linux"),
        chain_ids=(),
        layers=(),
        layer_sizes=(),
    )


NETWORK = NetworkRecord(id="e" * 64, name="bridge", driver="bridge", created="2024-05-01T10:00:00Z")


# ------------------------------------------------------------ containers


def test_a_container_and_its_state(store: Store, tmp_path: Path) -> None:
    record, state = container(), ContainerState(phase=Phase.RUNNING, pid=7, networks={"bridge": "e" * 64})
    store.containers.add(record, state)
    store = again(store, tmp_path)
    assert store.containers.all() == [(record, state)]
    store.close()


def test_a_state_is_written_beside_its_record(store: Store) -> None:
    store.containers.add(container(), ContainerState())
    ended = ContainerState(phase=Phase.EXITED, exit_code=7, error="so it was", oom_killed=True)
    store.containers.save_state("a" * 64, ended)
    assert store.containers.all() == [(container(), ended)]


def test_a_record_under_a_new_name_keeps_its_state(store: Store) -> None:
    state = ContainerState(phase=Phase.RUNNING, pid=7)
    store.containers.add(container(), state)
    store.containers.save_record(container(name="front"))
    assert store.containers.all() == [(container(name="front"), state)]
    store.containers.add(container("b", name="web"), ContainerState())  # the old name is free again


def test_a_name_and_an_id_are_taken_once(store: Store) -> None:
    store.containers.add(container(), ContainerState())
    store.containers.add(container("b", "other"), ContainerState())
    with pytest.raises(Conflict, match=r"already: UNIQUE .* containers\.name"):
        store.containers.add(container("d", name="web"), ContainerState())
    with pytest.raises(Conflict):
        store.containers.add(container("a", name="new"), ContainerState())
    with pytest.raises(Conflict):
        store.containers.save_record(container("b", name="web"))
    assert sorted(record.name for record, _ in store.containers.all()) == ["other", "web"]


def test_what_is_not_there(store: Store) -> None:
    store.containers.save_state("b" * 64, ContainerState())
    store.containers.delete("b" * 64)
    assert store.containers.all() == [] and not store.containers.has("b" * 64)
    store.containers.add(container(), ContainerState())
    assert store.containers.has("a" * 64)
    store.containers.delete("a" * 64)
    assert not store.containers.has("a" * 64)


# ------------------------------------------------------------ the other nouns


def test_images(store: Store, tmp_path: Path) -> None:
    store.images.put(image())
    store.images.put(image("2"))
    store.images.put(msgspec.structs.replace(image("2"), removed=True))
    store = again(store, tmp_path)
    assert store.images.get(image().id) == image()
    assert sorted((i.id[7], i.removed) for i in store.images.all()) == [("1", False), ("2", True)]
    store.images.delete(image().id)
    store.images.delete(image().id)
    assert store.images.get(image().id) is None and len(store.images.all()) == 1
    store.close()


def test_tags(store: Store, tmp_path: Path) -> None:
    store.tags.set("docker.io/library/a:latest", "sha256:1")
    store.tags.set("docker.io/library/b:latest", "sha256:1")
    store.tags.set("docker.io/library/a:latest", "sha256:2")
    store.tags.delete("docker.io/library/b:latest")
    store.tags.delete("docker.io/library/b:latest")
    store = again(store, tmp_path)
    assert store.tags.all() == {"docker.io/library/a:latest": "sha256:2"}
    store.close()


def test_networks(store: Store, tmp_path: Path) -> None:
    store.networks.add(NETWORK)
    with pytest.raises(Conflict):
        store.networks.add(msgspec.structs.replace(NETWORK, id="f" * 64))
    store = again(store, tmp_path)
    assert store.networks.get("bridge") == NETWORK and store.networks.all() == [NETWORK]
    store.networks.delete("bridge")
    store.networks.delete("bridge")
    assert store.networks.get("bridge") is None
    store.close()


def test_settings(store: Store, tmp_path: Path) -> None:
    assert store.settings.get("key") is None
    store.settings.set("key", "one")
    store.settings.set("key", "two")
    store = again(store, tmp_path)
    assert store.settings.get("key") == "two"
    store.close()


# ------------------------------------------------------------ transactions


def test_several_nouns_become_one_change(store: Store, tmp_path: Path) -> None:
    with store.transaction():
        store.images.put(image())
        store.tags.set("a", image().id)
        store.networks.add(NETWORK)
    other = Store(tmp_path / "wherry.db")
    assert (other.images.all(), other.tags.all(), other.networks.all()) == (
        [image()], {"a": image().id}, [NETWORK],
    )  # fmt: skip
    other.close()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_undoes_all_of_it(store: Store, error: type[BaseException]) -> None:
    store.settings.set("before", "kept")
    with pytest.raises(error), store.transaction():
        store.images.put(image())
        store.settings.set("before", "changed")
        store.containers.add(container(), ContainerState())
        raise error
    assert store.images.all() == [] and store.containers.all() == []
    assert store.settings.get("before") == "kept"
    store.images.put(image())  # and the store goes on


def test_a_statement_that_fails_undoes_what_came_before_it(store: Store) -> None:
    store.containers.add(container(), ContainerState())
    with pytest.raises(Conflict), store.transaction():
        store.tags.set("a", "sha256:1")
        store.containers.add(container("b", name="web"), ContainerState())
    assert store.tags.all() == {}


def test_one_within_another_joins_it(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "wherry.db")
    with store.transaction():
        store.tags.set("outer", "1")
        with store.transaction():
            store.tags.set("inner", "2")
        assert other.tags.all() == {}, "the inner one's end is not the end"
    assert other.tags.all() == {"outer": "1", "inner": "2"}
    other.close()


def test_the_outer_one_undoes_the_inner_one(store: Store) -> None:
    with pytest.raises(ValueError, match="late"), store.transaction():
        with store.transaction():
            store.tags.set("inner", "2")
        raise ValueError("late")
    assert store.tags.all() == {}


def test_an_inner_failure_that_is_caught_lets_the_outer_one_go_on(store: Store) -> None:
    """It has joined: what it wrote before it failed is the outer one's to keep or to undo."""
    store.networks.add(NETWORK)
    with store.transaction():
        store.tags.set("outer", "1")
        with pytest.raises(Conflict), store.transaction():
            store.tags.set("inner", "2")
            store.networks.add(NETWORK)
    assert store.tags.all() == {"outer": "1", "inner": "2"}


def test_threads_do_not_enter_each_others_transactions(store: Store) -> None:
    inside, go = threading.Event(), threading.Event()

    def undone() -> None:
        with pytest.raises(ValueError, match="undo"), store.transaction():
            store.tags.set("undone", "1")
            inside.set()
            go.wait(10)
            raise ValueError("undo")

    def kept() -> None:
        inside.wait(10)
        go.set()
        store.tags.set("kept", "2")  # waits until the other's transaction is over

    threads = [threading.Thread(target=undone), threading.Thread(target=kept)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert store.tags.all() == {"kept": "2"}


def test_many_threads_count_in_one_setting(store: Store) -> None:
    store.settings.set("count", "0")

    def work() -> None:
        for _ in range(50):
            with store.transaction():
                store.settings.set("count", str(int(store.settings.get("count") or 0) + 1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert store.settings.get("count") == "200"
