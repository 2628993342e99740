import pytest

from wherry.errors import InvalidArgument
from wherry.messages.container import Config
from wherry.runtime.image_config import merge, merge_env

IMAGE = Config(
    entrypoint=["/entry"],
    cmd=["serve"],
    env=["PATH=/bin", "A=1", "B=2"],
    user="app",
    working_dir="/srv",
    labels={"a": "image", "b": "image"},
    exposed_ports={"80/tcp": {}},
    volumes={"/data": {}},
    stop_signal="SIGQUIT",
)


@pytest.mark.parametrize(
    ("request_", "argv"),
    [
        (Config(), ("/entry", "serve")),
        (Config(cmd=["other", "x"]), ("/entry", "other", "x")),
        (Config(entrypoint=["/bin/sh"]), ("/bin/sh",)),
        (Config(entrypoint=["/bin/sh"], cmd=["-c", "x"]), ("/bin/sh", "-c", "x")),
        (Config(entrypoint=[""], cmd=["ls"]), ("ls",)),
        (Config(entrypoint=[], cmd=["ls"]), ("ls",)),
        (Config(entrypoint=[]), ("serve",)),
        (Config(cmd=[]), ("/entry", "serve")),
        (Config(entrypoint="/bin/sh", cmd="x y"), ("/bin/sh", "x y")),
    ],
)
def test_command(request_: Config, argv: tuple[str, ...]):
    assert merge(request_, IMAGE).argv == argv


def test_no_command():
    for request in (Config(), Config(entrypoint=[""])):
        with pytest.raises(InvalidArgument, match="no command specified"):
            merge(request, Config()).argv  # noqa: B018 - the property raises


def test_request_wins():
    merged = merge(
        Config(
            user="1:2",
            working_dir="/x",
            stop_signal="INT",
            labels={"a": "request"},
            exposed_ports={"1/udp": {}},
        ),
        IMAGE,
    )
    assert (merged.user, merged.working_dir, merged.stop_signal) == ("1:2", "/x", "INT")
    assert merged.labels == {"a": "request", "b": "image"}
    assert merged.exposed_ports == ["1/udp", "80/tcp"]
    assert merged.volumes == ["/data"]


def test_image_fills_in():
    merged = merge(Config(), IMAGE)
    assert (merged.user, merged.working_dir, merged.stop_signal) == ("app", "/srv", "SIGQUIT")
    assert merged.env == ["PATH=/bin", "A=1", "B=2"]


def test_environment_keeps_the_requests_first():
    assert merge_env(["B=9", "C"], ["A=1", "B=2", "C=3"]) == ["B=9", "C", "A=1"]
