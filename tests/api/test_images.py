"""Images over the wire."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.api.client import Api
from wherry.values.platforms import host_architecture


def test_load_tells_what_it_loaded(api: Api, busybox_archive: bytes) -> None:
    reply = api.call("POST", "/images/load?quiet=1", raw=busybox_archive)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.body == b'{"stream":"Loaded image: busybox:latest\\n"}\r\n'


def test_load_of_what_is_no_archive(api: Api) -> None:
    reply = api.call("POST", "/images/load?quiet=1", raw=b"no archive at all" * 100)
    assert (reply.status, reply.headers["content-type"]) == (400, "application/json")
    assert reply.message


def test_the_list_and_its_versions(api: Api) -> None:
    (image,) = api.get("/images/json").json
    names = "Containers Created Id Labels ParentId RepoDigests RepoTags SharedSize Size"
    assert " ".join(sorted(image)) == names
    assert (image["RepoTags"], image["SharedSize"], image["ParentId"]) == (["busybox:latest"], -1, "")
    (older,) = api.get("/v1.43/images/json").json
    assert (older["VirtualSize"], older["Containers"]) == (image["Size"], -1)
    assert api.get("/images/json", filters={"reference": ["none*"]}).json == []
    assert api.get("/images/json", filters={"colour": ["red"]}).message == "invalid filter 'colour'"


def test_inspect_and_its_versions(api: Api) -> None:
    image = api.get("/images/busybox/json").json
    assert " ".join(image) == (
        "Id RepoTags RepoDigests Parent Comment Created DockerVersion Author Config Architecture Os Size "
        "GraphDriver RootFS Metadata"
    )
    assert image["RootFS"]["Type"] == "layers" and len(image["RootFS"]["Layers"]) == 1
    assert not {"Hostname", "Tty", "ExposedPorts"} & image["Config"].keys()
    assert {"Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "User", "Volumes", "WorkingDir"} <= image[
        "Config"
    ].keys()
    before_1_50 = api.get("/v1.49/images/busybox/json").json
    assert before_1_50["Config"].items() >= {"Hostname": "", "Tty": False, "Image": ""}.items()
    before_1_44 = api.get("/v1.43/images/busybox/json").json
    assert before_1_44["VirtualSize"] == image["Size"] and "ContainerConfig" in before_1_44
    for ref in (image["Id"], image["Id"][7:19], "docker.io/library/busybox:latest"):
        assert api.get(f"/images/{ref}/json").json["Id"] == image["Id"]


@pytest.mark.parametrize("what", ["json", "history"])
def test_only_for_a_platform(api: Api, what: str) -> None:
    path = f"/images/busybox/{what}"
    right = {"os": "linux", "architecture": "amd64"}
    assert api.get(path, platform=right).status == 200
    assert api.get(path, platform={**right, "variant": "v9", "other": 1}).status == 200
    assert api.get(path, platform={"os": "LINUX", "architecture": "x86_64"}).status == 200
    first = {"json": "1.49", "history": "1.48"}[what]
    for version, status in ((first, 404), ("1.47", 200)):  # before, it was a name that nobody read
        answer = api.get(f"/v{version}{path}", platform={**right, "architecture": "s390x"})
        assert answer.status == status
    wrong = api.get(path, platform={**right, "architecture": "s390x"})
    assert (wrong.status, "does not match the specified platform" in wrong.message) == (404, True)
    for bad in ("{", "[]", "linux/amd64", {"os": "linux"}, {"architecture": "amd64"}, {"os": 1}, "null"):
        refused = api.get(path, platform=bad)
        assert refused.status == 400, refused.body
        assert refused.message.startswith(("invalid platform: ", "both OS and Architecture must be provided"))


def test_an_image_for_another_platform_is_not_removed(api: Api) -> None:
    """What ``docker rmi --platform`` asks for, from API 1.50; clients of before know nothing of it."""
    own, other = (
        json.dumps({"os": "linux", "architecture": word}) for word in (host_architecture(), "s390x")
    )

    def removed(version: str, *platforms: str) -> tuple[int, str]:
        assert api.post("/images/busybox/tag", repo="for-one", tag="1").status == 201
        query = "&".join(f"platforms={quote(text)}" for text in platforms)
        answer = api.delete(f"{version}/images/for-one:1?{query}")
        return answer.status, answer.body.decode()

    for bad in (("",), ("x",), ("null",), ("{}",), (own, own)):
        assert removed("/v1.51", *bad)[0] == 400
    status, said = removed("/v1.51", other)
    assert status == 404 and "does not match the specified platform" in said
    assert api.get("/images/for-one:1/json").status == 200
    assert removed("/v1.51", own)[0] == 200
    assert removed("/v1.49", other)[0] == 200


def test_history(api: Api) -> None:
    items = api.get("/images/busybox/history").json
    assert [set(item) for item in items] == [{"Comment", "Created", "CreatedBy", "Id", "Size", "Tags"}] * len(
        items
    )
    assert items[0]["Tags"] == ["busybox:latest"]


def test_import_tag_remove(api: Api, busybox_tar: bytes) -> None:
    path = '/images/create?fromSrc=-&repo=imp:1&changes=ENV A=b&changes=CMD ["sh"]&message=by hand'
    reply = api.call("POST", path, raw=busybox_tar)
    assert reply.status == 200, reply.body
    id = json.loads(reply.body)["status"]
    image = api.get("/images/imp:1/json").json
    assert (image["Id"], image["Comment"]) == (id, "by hand")
    assert (image["Config"]["Env"], image["Config"]["Cmd"]) == (["A=b"], ["sh"])
    # The docker command line sends names in full.
    assert api.post("/images/imp:1/tag?repo=docker.io/library/second&tag=2").status == 201
    assert api.get(f"/images/{id}/json").json["RepoTags"] == ["imp:1", "second:2"]
    assert api.delete("/images/second:2").json == [{"Untagged": "second:2"}]
    removed = api.delete("/images/imp:1").json
    assert removed[:2] == [{"Untagged": "imp:1"}, {"Deleted": id}]
    assert api.get("/images/imp:1/json").status == 404


def test_import_without_a_message_says_where_it_came_from(api: Api, busybox_tar: bytes) -> None:
    id = json.loads(api.call("POST", "/images/create?fromSrc=-", raw=busybox_tar).body)["status"]
    assert api.get(f"/images/{id}/json").json["Comment"] == "Imported from -"
    api.delete(f"/images/{id}")


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/images/gone/json", 404, "No such image: gone:latest"),
        ("GET", "/images/gone/history", 404, "No such image: gone:latest"),
        ("DELETE", "/images/gone", 404, "No such image: gone:latest"),
        ("POST", "/images/gone/tag?repo=x", 404, "No such image: gone:latest"),
        ("POST", "/images/busybox/tag?repo=Upper", 400, "lowercase"),
        ("POST", "/images/create?fromImage=Upper", 400, "lowercase"),
        ("POST", "/images/create", 400, "fromSrc must be '-'"),
        ("POST", "/images/create?fromImage=alpine&tag=3", 501, "cannot pull alpine:3"),
        ("POST", "/images/create?fromSrc=-&platform=a/b/c/d", 400, "a/b/c/d"),
        ("POST", "/images/create?fromSrc=-&platform=nonsense", 400, "neither an operating system nor"),
        ("POST", "/images/create?fromSrc=-&platform=windows/amd64", 400, "operating system is not supported"),
    ],
)
def test_errors(api: Api, method: str, path: str, status: int, text: str) -> None:
    reply = api.call(method, path)
    assert (reply.status, text in reply.message) == (status, True), reply.body


def test_an_image_in_use_stays(api: Api) -> None:
    id = api.create("sleep", "1000", name="user")
    reply = api.delete("/images/busybox")
    assert reply.status == 409
    assert id[:12] in reply.message
