"""What an earlier daemon left is taken over as far as it can be; nothing of it keeps a daemon from starting."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.harness.daemon import Daemon


def test_an_endpoint_that_cannot_be_taken_over_keeps_no_daemon_from_starting(
    fresh_daemon: Callable[..., Daemon],
) -> None:
    daemon = fresh_daemon()
    daemon.docker("run", "-d", "--name", "odd", "busybox", "sleep", "60")
    daemon.docker("run", "-d", "--name", "even", "-p", "8080:80", "busybox", "sleep", "60")
    id = daemon.inspect("odd")["Id"]
    daemon.kill9()
    file = daemon.sandbox.outside(daemon.exec_root / "containers" / id / "launch.json")
    launch = json.loads(file.read_text())
    (endpoint,) = [values for name, values in launch["preparation"] if name == "endpoint"]
    endpoint["network"] = "nowhere"  # as if it were of a network that is there no more
    file.write_text(json.dumps(launch))
    daemon.start()
    assert daemon.inspect("even")["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"] == "8080"
    assert daemon.inspect("odd")["State"]["Running"]
    assert daemon.docker("exec", "odd", "echo", "still here").stdout == "still here\n"
    daemon.docker("rm", "-f", "odd", "even")
    assert daemon.stop() == 0
    assert daemon.leaks() == []
