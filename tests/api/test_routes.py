"""Every route of the Engine API 1.51 has an answer that somebody has thought of."""

from __future__ import annotations

import pytest

from tests.harness.daemon import Daemon

ROUTES = """
GET /containers/json; POST /containers/create; GET /containers/c/json; GET /containers/c/top; GET /containers/c/logs
GET /containers/c/changes; GET /containers/c/export; GET /containers/c/stats; POST /containers/c/resize
POST /containers/c/start; POST /containers/c/stop; POST /containers/c/restart; POST /containers/c/kill
POST /containers/c/update; POST /containers/c/rename; POST /containers/c/pause; POST /containers/c/unpause
POST /containers/c/attach; GET /containers/c/attach/ws; POST /containers/c/wait; DELETE /containers/c
HEAD /containers/c/archive; GET /containers/c/archive; PUT /containers/c/archive; POST /containers/prune
GET /images/json; POST /build; POST /build/prune; POST /build/cancel; POST /images/create; GET /images/c/json
GET /images/c/history; POST /images/c/push; POST /images/c/tag; DELETE /images/c; GET /images/search
POST /images/prune; GET /images/c/get; GET /images/get; POST /images/load
POST /auth; GET /info; GET /version; GET /_ping; HEAD /_ping; POST /commit; GET /events?until=1; GET /system/df
POST /containers/c/exec; POST /exec/e/start; POST /exec/e/resize; GET /exec/e/json
GET /volumes; POST /volumes/create; GET /volumes/v; PUT /volumes/v; DELETE /volumes/v; POST /volumes/prune
GET /networks; GET /networks/; GET /networks/n; DELETE /networks/n; POST /networks/create; POST /networks/n/connect
POST /networks/n/disconnect; POST /networks/prune
GET /plugins; GET /plugins/privileges; POST /plugins/pull; GET /plugins/a/b/json; DELETE /plugins/p
POST /plugins/p/enable; POST /plugins/p/disable; POST /plugins/p/upgrade; POST /plugins/create; POST /plugins/p/push
POST /plugins/p/set
GET /nodes; GET /nodes/n; DELETE /nodes/n; POST /nodes/n/update
GET /swarm; POST /swarm/init; POST /swarm/join; POST /swarm/leave; POST /swarm/update; GET /swarm/unlockkey
POST /swarm/unlock
GET /services; POST /services/create; GET /services/s; DELETE /services/s; POST /services/s/update; GET /services/s/logs
GET /tasks; GET /tasks/t; GET /tasks/t/logs
GET /secrets; POST /secrets/create; GET /secrets/s; DELETE /secrets/s; POST /secrets/s/update
GET /configs; POST /configs/create; GET /configs/c; DELETE /configs/c; POST /configs/c/update
GET /distribution/d/json; POST /session; POST /grpc
"""
EACH = [tuple(route.split()) for route in ROUTES.replace("\n", "; ").split("; ") if route]


@pytest.mark.parametrize(("method", "path"), EACH, ids=" ".join)
def test_every_route_has_an_answer(daemon: Daemon, method: str, path: str) -> None:
    answer = daemon.api(method, path)
    assert answer.status < 500 or answer.status in (501, 503)
    if answer.status >= 400 and method != "HEAD":
        assert answer.body["message"] not in ("", "page not found")


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/swarm/unlockkey", 503, "This node is not a swarm manager."),
        ("POST", "/services/create", 503, "This node is not a swarm manager."),
        ("DELETE", "/nodes/n", 503, "This node is not a swarm manager."),
        ("POST", "/swarm/leave", 503, "This node is not part of a swarm"),
        ("POST", "/swarm/init", 501, "this version of wherry does not support swarms"),
        ("GET", "/plugins/a/b:c/json", 404, 'plugin "a/b:c" not found'),
        ("POST", "/plugins/p/enable", 404, 'plugin "p" not found'),
        ("GET", "/networks/bridge?scope=swarm", 404, "network bridge not found"),
        ("GET", "/networks/bridge?verbose=x", 400, "invalid value for verbose: x"),
        ("GET", "/containers/", 404, "page not found"),
        ("PUT", "/info", 404, "page not found"),
    ],
)
def test_answers_are_those_of_a_daemon_without_them(
    daemon: Daemon, method: str, path: str, status: int, said: str
) -> None:
    answer = daemon.api(method, path)
    assert answer.status == status and said in answer.body["message"]


def test_networks_are_listed_under_either_path(daemon: Daemon) -> None:
    assert daemon.api("GET", "/networks/") == daemon.api("GET", "/networks")
    assert daemon.api("GET", "/networks/bridge?scope=local").body["Scope"] == "local"


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/containers/nosuch/attach/ws", "No such container: nosuch"),
        ("POST", "/containers/nosuch/pause", "No such container: nosuch"),
        ("POST", "/networks/nosuch/connect", "network nosuch not found"),
    ],
)
def test_who_misspells_a_name_learns_that_first(daemon: Daemon, method: str, path: str, said: str) -> None:
    assert daemon.api(method, path) == (404, {"message": said})
    known = daemon.api("POST", "/containers/create?name=nosuch", {"Image": "busybox"}).status == 201
    assert known and (daemon.api(method, path).status == 501) == path.startswith("/containers")
