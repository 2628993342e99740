"""The same command lines through docker's own command line and through ours: the engine must get the same requests,
and what docker refuses we refuse in the same words."""

# ruff: noqa: E501
from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.recorder import Recorder, Request, recording
from wherry.cli.main import main

FILES = {
    "env": "A=1\n#c\n\n  B=2 \nHOME\nNOPE_NOT_SET\nC=x y\n",
    "bad-env": "bad name=1\n",
    "nameless-env": "=1\n",
    "labels": "a=1\nb\n#x\n",
    "seccomp.json": '{ "defaultAction" : "SCMP_ACT_ALLOW", "x": "a \\" b" ,\n "n": 1.0e3 }\n',
}

ACCEPTED = r"""
create busybox
create busybox:1 sh -c 'a b' --rm -x
run -d -it --name x busybox:1 sh -c 'a b'
run -d --rm busybox
run -d -q busybox
run busybox true
run --rm -i busybox cat
run -a stdout busybox true
run -a stdin busybox true
run --detach-keys ctrl-a busybox
run --sig-proxy=false busybox
create -v /a:/b:ro -v vol:/c -v /anon --tmpfs /x:size=1m --tmpfs /y busybox
create -v .:/x -v ./a:/x:z -v ../q:/z -v ~/b:/y busybox
create -v /a:b:c:d -v x -v a/b:/x -v /anon:ro busybox
create --mount type=bind,source=/tmp,target=/m,readonly --mount type=volume,src=v,dst=/n,volume-nocopy busybox
create --mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1777 --mount type=tmpfs,dst=/x,readonly busybox
create --mount type=bind,src=/x,dst=/y,bind-propagation=rshared,bind-recursive=disabled,consistency=cached,ro=true busybox
create --mount type=bind,src=/x,dst=/y,bind-recursive=readonly,readonly,bind-propagation=rprivate busybox
create --mount type=bind,src=/x,dst=/y,bind-recursive=writable,readonly busybox
create --mount type=bind,src=/x,dst=/x,bind-recursive=enabled busybox
create --mount src=v,dst=/y,volume-label=a=b,volume-driver=local,volume-opt=o=addr=1,volume-subpath=foo busybox
create --mount type=image,src=foo,dst=/x,image-subpath=q busybox
create --mount 'type=bind,"src=/a,b",dst=/x' --mount type=BIND,SRC=/x,DST=/x busybox
create --mount type=bind,src=./x,dst=/x --mount type=bind,src=.,dst=/y --mount type=bind,src=rel,dst=/z busybox
create --mount type=foo,dst=/x --mount type=volume,dst=/x --mount src=,dst=/y busybox
create --mount type=bind,src=/x,dst=/x,readonly=false,ro=1 --mount type=bind,src=/x,dst=/x,bind-propagation= busybox
create -p 80 -p 8080:80/tcp -p 127.0.0.1::53/udp -p 9000-9002:9000-9002 --expose 7 --expose 10-12/udp -P busybox
create -p 80-82:90 -p 8000-8010:80 -p 0:81 -p 82/TCP busybox
create -p '[::1]:80:80/tcp' -p ::1:81:81 -p 80:80/sctp busybox
create -p published=80,target=81,protocol=udp -p target=80,mode=host -p target=83,published=8080-8081 busybox
create --expose 80/foo --expose 80 --expose 80/tcp busybox
create --cpus 1.5 -m 64m --memory-swap -1 --memory-reservation 10m -c 3 --cpuset-cpus 0 --cpuset-mems 0 busybox
create --cpus .5 --memory 1.5GiB --memory-swap 2gb --shm-size 100 --pids-limit 10 busybox
create --ulimit nofile=10:20 --ulimit core=1 --ulimit nproc=5:-1 --ulimit nofile=3 --ulimit memlock=-1 busybox
create --sysctl net.a=b --device /dev/null --device /dev/a:/dev/b:rw --device /dev/c:r --device /dev/d:/dev/e busybox
create --device vendor.com/class=dev --device-cgroup-rule 'c 1:3 r' --device-cgroup-rule 'a *:* rwm' busybox
create --oom-score-adj 5 --memory-swappiness 5 --oom-kill-disable --init --stop-signal INT --stop-timeout 3 busybox
create --init=false --rm --restart no --stop-timeout 0 busybox
create --privileged=false --read-only=true --tty=0 --pids-limit -1 busybox
create --network host --dns 1.1.1.1 --dns-search a.b --dns-option x --dns-opt ndots:1 busybox
create --dns 2001:DB8::0001 --dns-search . --dns-search Foo.COM busybox
create --add-host a:1.2.3.4 --add-host b=host-gateway --add-host 'a:[::1]' --add-host a=::2 --add-host c:::3 busybox
create --hostname h --domainname d --mac-address 92:d0:c6:0a:29:33 -h -x busybox
create --network host --mac-address 92:d0:c6:0a:29:33 busybox
create --network host busybox
create --net none -i busybox
create --network container:x --ipc host --pid host --uts host --cgroupns private --cgroup-parent /a busybox
create --userns host --group-add 3 --group-add 4 --group-add '' --privileged --pid container:x --ipc container:y busybox
create --security-opt no-new-privileges --security-opt seccomp=unconfined --security-opt apparmor=x busybox
create --security-opt seccomp=builtin --security-opt systempaths=unconfined --security-opt label:disable busybox
create --security-opt seccomp={files}/seccomp.json --security-opt no-new-privileges:true busybox
create --cap-add ALL --cap-drop net_raw --read-only busybox
create --cap-add cap_sys_admin --cap-add ALL --cap-drop net_raw --cap-drop foo --cap-add SYS_ADMIN busybox
create --restart on-failure:3 --log-driver local --log-opt a=b --log-opt c busybox
create --restart always:3 --restart unless-stopped --log-driver none busybox
create --restart foo --log-opt x=y busybox
create --health-cmd 'true x' --health-interval 1s --health-retries 3 --health-timeout 2s busybox
create --health-start-period 1m30s --health-start-interval 1.5s --health-timeout 100ms busybox
create --no-healthcheck busybox
create --health-cmd '' --health-retries 0 busybox
create --annotation a=b --annotation c --runtime crun --isolation x --storage-opt size=3 busybox
create --volumes-from a:ro --volume-driver loc --link a:b --ip 1.2.3.4 busybox
create --link a:b --ip 1.2.3.4 --network foo busybox
create --network bridge --link-local-ip 169.254.1.1 --ip6 ::1 busybox
create --network mynet --network-alias al --net-alias bl --network name=second,alias=foo,ip=1.2.3.4,driver-opt=a=b busybox
create --network name=foo,alias=a,alias=b,ip6=::1,mac-address=92:d0:c6:0a:29:33,gw-priority=3,link-local-ip=1.1.1.1 busybox
create --network host --network none busybox
create --network foo,bar busybox
create --blkio-weight 10 --blkio-weight-device /dev/sda:10 --device-read-bps /dev/sda:1mb busybox
create --device-write-iops /dev/sda:5 --device-read-iops /dev/sda:0 --device-write-bps /dev/a:10k busybox
create --cpu-period 3 --cpu-quota 4 --cpu-rt-period 1 --cpu-rt-runtime 2 busybox
create -l a=b -l c -l d= -e A=1 -e HOME -e NOSUCH_VARIABLE -e EMPTY= -u 1:2 -w /x busybox
create --entrypoint /bin/foo -a stdout -a STDERR --platform linux/amd64 busybox a b
create --entrypoint '' --hostname '' --name '' busybox
create --env-file {files}/env -e Z=1 -e A=2 busybox
create --label-file {files}/labels -l b=3 busybox
create --label-file {files}/labels busybox
create -a stdin -a stdout busybox
create -i -a stdin busybox
create -it busybox
create sha256:2414e7772c33ed00ef300eba2bc717da2f12e1f8d13bd5c0d9a5b2df4d4a037b
create --pull always localhost:5000/a/b@sha256:2414e7772c33ed00ef300eba2bc717da2f12e1f8d13bd5c0d9a5b2df4d4a037b
create --pull always a.b/c:d
create --pull always docker.io/foo
create --pull always --platform linux/arm64 2414e7772c33
run -d --cidfile {files}/new-{program} busybox
""".strip().splitlines()

REFUSED = r"""
create
create -m
create --foo busybox
create -Z busybox
create -d busybox
create UPPER
create busybox:
create --mount foo busybox
create --mount '' busybox
create --mount 'type=bind,"src=/x' busybox
create --mount type=bind,src=/x busybox
create --mount dst=/x,volume-nocopy=3 busybox
create --mount type=bind,src=/x,dst=/x,volume-nocopy busybox
create --mount type=volume,src=/x,dst=/x,bind-propagation=shared busybox
create --mount type=bind,src=/x,dst=/x,tmpfs-size=1 busybox
create --mount type=tmpfs,dst=/x,tmpfs-size=1q busybox
create --mount type=tmpfs,dst=/x,tmpfs-mode=9 busybox
create --mount type=bind,src=/x,dst=/x,foo=bar busybox
create --mount type=bind,src=/x,dst=/x,bind-recursive=readonly busybox
create --mount type=bind,src=/x,dst=/x,bind-recursive=readonly,readonly busybox
create --mount type=bind,src=/x,dst=/x,bind-recursive=writable busybox
create --mount type=bind,src=/x,dst=/x,bind-recursive=foo busybox
create --mount type=bind,src=/x,dst=/x,readonly=maybe busybox
create --mount type=BIND,SRC=/x,DST=/x, busybox
create -v '' busybox
create -v :/x busybox
create -p 99999 busybox
create -p 80:80/foo busybox
create -p 80-81:80-82 busybox
create -p foo:80 busybox
create -p '' busybox
create -p 1.2.3.4:80 busybox
create -p 1:2:3:4 busybox
create -p 82-80 busybox
create -p 70000:80 busybox
create -p host.name:80:80 busybox
create -p target=x busybox
create --expose foo busybox
create --expose 1:2 busybox
create --expose 5-3 busybox
create -e =x busybox
create -e '' busybox
create -l =a busybox
create --env-file {files}/bad-env busybox
create --env-file {files}/nameless-env busybox
create --env-file /no/file busybox
create --label-file /no/file busybox
create --add-host a busybox
create --add-host a:xx busybox
create --add-host '[::1]' busybox
create --add-host a=1.2.3.4=5 busybox
create --add-host :1.2.3.4 busybox
create --dns x busybox
create --dns-search 'a b' busybox
create --mac-address foo busybox
create --security-opt foo busybox
create --security-opt seccomp=/no/file busybox
create --ulimit foo=1 busybox
create --ulimit nofile busybox
create --ulimit nofile=20:10 busybox
create --ulimit nproc=-1:5 busybox
create --ulimit nproc=1:2:3 busybox
create --ulimit nproc=x busybox
create --sysctl a=b busybox
create --device /dev/null:/x:rwq busybox
create --device a:b:c:d busybox
create --device null busybox
create --device /dev/a:b busybox
create --device-cgroup-rule foo busybox
create --device-read-bps /dev/a:x busybox
create --device-read-iops sda:1 busybox
create --blkio-weight-device /dev/sda:3 busybox
create --pid foo busybox
create --uts foo busybox
create --userns foo busybox
create --cgroupns foo busybox
create --rm --restart always busybox
create --restart on-failure:x busybox
create --log-driver none --log-opt a=b busybox
create --storage-opt foo busybox
create -a foo busybox
create -m 1 --memory-swap 3x busybox
create --shm-size x busybox
create --cpus x busybox
create --cpus 1.0000000001 busybox
create --memory-swappiness 200 busybox
create --health-interval 1 busybox
create --health-interval 1q busybox
create --health-interval -1s busybox
create --health-retries -1 busybox
create --no-healthcheck --health-cmd a busybox
create --pull foo busybox
create --privileged=foo busybox
create --network alias=x busybox
create --network name=foo,zip=3 busybox
create --network foo --network foo busybox
create --network foo --network bridge busybox
create --network container:a --network-alias b busybox
create --network-alias b busybox
run -d -a stdin busybox
run -d --cidfile {files}/env busybox
run -it busybox
""".strip().splitlines()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    with recording(tmp_path_factory.mktemp("engine") / "api.sock") as server:
        yield server


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def by_docker(
    docker_cli: str, engine: Recorder, words: list[str], folder: Path
) -> tuple[int, str, list[Request]]:
    environment = {
        **os.environ,
        "DOCKER_HOST": f"unix://{engine.server_address}",
        "DOCKER_CONFIG": str(folder),
    }
    done = subprocess.run(
        [docker_cli, *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return done.returncode, done.stderr, engine.take()


def by_wherry(
    engine: Recorder, words: list[str], capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, list[Request]]:
    code = main(["-H", f"unix://{engine.server_address}", *words])
    return code, capsys.readouterr().err, engine.take()


def comparable(request: Request) -> Request:
    """Without headers, and without the name of the file that each program wrote for itself. Docker keeps binds and
    variables in maps, so their order is by chance."""
    body = request.body
    if isinstance(body, dict) and "HostConfig" in body:
        host = {**body["HostConfig"], "Binds": sorted(body["HostConfig"]["Binds"] or [])}
        host["ContainerIDFile"] = bool(host["ContainerIDFile"])
        body = {**body, "HostConfig": host, "Env": sorted(body["Env"] or [])}
    return request._replace(headers={}, body=body)


@pytest.mark.parametrize("line", ACCEPTED)
def test_same_requests(
    line: str,
    docker_cli: str,
    engine: Recorder,
    files: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = [line.replace("{files}", str(files)).replace("{program}", who) for who in ("docker", "wherry")]
    docker = by_docker(docker_cli, engine, shlex.split(texts[0]), tmp_path)
    ours = by_wherry(engine, shlex.split(texts[1]), capsys)
    assert docker[0] == 0, docker[1]
    assert ours[0] == 0, ours[1]
    # docker asks to be told of the end of a detached container too, and does not listen
    wanted = [r for r in docker[2] if not (r.path.endswith("/wait") and line.startswith("run -d "))]
    assert [comparable(r) for r in ours[2]] == [comparable(r) for r in wanted]


@pytest.mark.parametrize("line", REFUSED)
def test_same_refusal(
    line: str,
    docker_cli: str,
    engine: Recorder,
    files: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = shlex.split(line.replace("{files}", str(files)))
    docker = by_docker(docker_cli, engine, words, tmp_path)
    ours = by_wherry(engine, words, capsys)
    said = docker[1].splitlines()[0].removeprefix("docker: ").replace("'docker ", "'wherry ")
    assert ours[1].splitlines()[0] == f"wherry: {said}"
    assert ours[0] == docker[0]
    assert not ours[2] and not docker[2]
