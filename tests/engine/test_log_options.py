"""Options of the log: accepted as dockerd accepts them, and carried by each entry."""

from __future__ import annotations

import json

import pytest

from tests.engine.test_request import record
from tests.harness.daemon import Daemon
from wherry.engine.log_options import attributes, check_log, log_files, log_size
from wherry.errors import InvalidArgument
from wherry.messages.container import HostConfig, LogConfig


def options(**config: str) -> LogConfig:
    return LogConfig(
        type="json-file", config={name.replace("_", "-"): value for name, value in config.items()}
    )


@pytest.mark.parametrize(
    ("text", "size"), [("10m", 10 << 20), ("1g", 1 << 30), ("512", 512), ("5kb", 5 << 10), ("-1", 0)]
)
def test_log_sizes(text: str, size: int) -> None:
    config = LogConfig(type="json-file", config={"max-size": text, "max-file": "3"})
    assert (log_size(config), log_files(config)) == (size, 3)


@pytest.mark.parametrize(
    "config",
    [
        options(
            compress="true",
            max_size="1m",
            max_file="2",
            tag="{{.Name}}/{{ .ID }}",
            labels="a,b",
            env="X",
            env_regex="^Y",
            labels_regex="^c",
        ),
        options(mode="non-blocking", max_buffer_size="1m"),
        options(mode="blocking", cache_disabled="true", cache_max_size="1m"),
        options(tag="", labels="", max_file="3"),
        LogConfig(type="none", config={"max-size": "nonsense"}),
    ],
)
def test_what_dockerd_takes(config: LogConfig) -> None:
    check_log(config)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (options(max_size="²"), "invalid value for max-size"),
        (options(max_size="0"), "max-size must be a positive number"),
        (options(max_size="9" * 30), "max-size must be a positive number of 63 bits"),
        (options(max_file="²"), "max-file cannot be less than 1"),
        (options(max_file="000"), "max-file cannot be less than 1"),
        (options(max_file="9" * 5000), "max-file cannot be more than 10000"),
        (options(compress="maybe"), "invalid value for compress: 'maybe'"),
        (options(compress="true"), "compress cannot be true when max-file is less than 2"),
        (options(tag="{{.Nope}}"), "invalid log opt tag '{{.Nope}}': a template may have {{.ID}}"),
        (options(tag="{{"), "invalid log opt tag"),
        (options(env_regex="("), "invalid log opt env-regex"),
        (options(mode="x"), "logger: logging mode not supported: x"),
        (options(max_buffer_size="1m"), "max-buffer-size option is only supported with 'mode=non-blocking'"),
        (options(mode="non-blocking", max_buffer_size="x"), "invalid size"),
        (options(foo="1"), "unknown log opt 'foo' for json-file log driver"),
    ],
    ids=str,
)
def test_what_is_refused(config: LogConfig, said: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        check_log(config)
    assert said in error.value.message


def test_attributes_have_a_length() -> None:
    with pytest.raises(InvalidArgument, match="more than 16384 bytes for each line"):
        record(HostConfig(log_config=options(env="X")), env=["X=" + "x" * 17_000])
    assert attributes(record(HostConfig(log_config=options(env="nosuch", tag="")))) == ""


@pytest.mark.parametrize(
    ("config", "carried"),
    [(options(), ""), (options(labels="", env=""), ""), (options(tag="t"), '{"tag":"t"}')],
    ids=["no options", "empty ones", "another one"],
)
def test_a_label_without_a_name_is_not_asked_for(config: LogConfig, carried: str) -> None:
    assert attributes(record(HostConfig(log_config=config), labels={"": "x"})) == carried


def test_each_entry_carries_what_was_asked_for(daemon: Daemon) -> None:
    daemon.docker(
        "run", "--name", "web", "--label", "la=1", "--label", "lb=2", "--env", "X=1", "--env", "YY=2", "--env", "Z=3",
        "--log-opt", "tag={{.Name}}/{{.ImageName}}", "--log-opt", "labels=la,nosuch", "--log-opt", "labels-regex=^lb",
        "--log-opt", "env=X", "--log-opt", "env-regex=^Y", "busybox", "echo", "a",
    )  # fmt: skip
    path = daemon.inspect("web")["LogPath"]
    (entry,) = [json.loads(line) for line in daemon.run_in_ns(["cat", path]).stdout.splitlines()]
    wanted = {"X": "1", "YY": "2", "la": "1", "lb": "2", "tag": "web/busybox"}
    assert entry["attrs"] == wanted and list(entry) == ["log", "stream", "attrs", "time"]
    assert daemon.docker("logs", "--details", "web").stdout == "X=1,YY=2,la=1,lb=2,tag=web%2Fbusybox a\n"


def test_each_line_has_its_own_time(daemon: Daemon) -> None:
    daemon.docker("run", "--name", "lines", "busybox", "printf", "a\\nb\\nc\\nd\\n")
    times = [line.split()[0] for line in daemon.docker("logs", "--timestamps", "lines").stdout.splitlines()]
    assert len(times) == 4 and sorted(set(times)) == times


def test_as_many_attributes_as_there_may_be(daemon: Daemon) -> None:
    """A monitor keeps them beside its own paths."""
    wish = "x" * ((16 << 10) - len('{"v":""}'))
    daemon.docker("run", "--name", "many", "--env", f"v={wish}", "--log-opt", "env=v", "busybox", "echo", "a")
    path = daemon.inspect("many")["LogPath"]
    (entry,) = [json.loads(line) for line in daemon.run_in_ns(["cat", path]).stdout.splitlines()]
    assert entry["attrs"] == {"v": wish}


def test_a_tag_is_not_made_to_be_refused() -> None:
    """A command of a megabyte, told a hundred thousand times, would be all memory that there is."""
    tags = ("{{.Command}}" * 1000, "{{.Command}}" * 1_000_000, "{{.ImageName}}" * 1_000_000, "x" * 20_000)
    for tag in tags:
        with pytest.raises(InvalidArgument, match="more than 16384 bytes for each line"):
            record(HostConfig(log_config=options(tag=tag)), cmd=["x" * 100_000])


def test_what_create_checks_a_rename_checks(daemon: Daemon) -> None:
    """Each line of the log may tell the name; a container that was renamed could not be started any more."""
    tag = "--log-opt", "tag=" + "{{.Name}}" * 150
    daemon.docker("create", "--name", "short", *tag, "busybox", "true")
    long = "n" * 120
    answer = daemon.api("POST", f"/containers/short/rename?name={long}")
    assert answer.status == 400 and "more than 16384 bytes for each line" in answer.body["message"]
    refused = daemon.docker("create", "--name", long, *tag, "busybox", "true", check=False)
    assert "more than 16384 bytes for each line" in refused.stderr
    daemon.docker("rename", "short", "n" * 100)
    daemon.docker("start", "n" * 100)
