"""The options of ``run`` and ``create`` as the body of ``POST /containers/create``. Pure but for the files that the
options name; every problem is a ValueError in Docker's words."""

from __future__ import annotations

from wherry.cli import ports
from wherry.cli.endpoints import Attachment, endpoints, hardware_address
from wherry.cli.key_files import read_key_file, to_map, with_environment
from wherry.cli.mounts import is_cdi, parse_device, split_volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from wherry.cli.command import Options

    Json = dict[str, Any]

JSON_TOKEN = r'("(?:[^"\\]|\\.)*")|\s+'


def create_body(options: Options, environment: Mapping[str, str], console: tuple[int, int]) -> Json:
    """The whole body. ``console`` is (rows, columns) of the terminal, (0, 0) without one."""
    image, *words = options.args
    mode, attached = endpoints(options.network, _own_attachment(options))
    exposed, bindings = ports.published(options.publish)
    exposed.update(ports.exposed(options.expose))
    binds, anonymous = split_volumes(options.volume)
    body = {
        **streams(options),
        "Hostname": options.hostname,
        "Domainname": options.domainname,
        "User": options.user,
        "Env": _environment(options, environment),
        "Cmd": words or None,
        "Image": image,
        "Volumes": anonymous,
        "WorkingDir": options.workdir,
        "Entrypoint": _entrypoint(options),
        "OnBuild": None,
        "Labels": _labels(options),
        "HostConfig": {
            **_host(options, binds),
            **_namespaces(options),
            **_security(options.security_opt),
            **_resources(options),
            "NetworkMode": mode,
            "PortBindings": bindings,
            "ConsoleSize": list(console),
        },
        "NetworkingConfig": {"EndpointsConfig": attached},
    }
    optional = {
        "ExposedPorts": exposed or None,
        "Healthcheck": _healthcheck(options),
        "StopSignal": options.stop_signal or None,
        "StopTimeout": options.stop_timeout,
    }
    return {**body, **_given(optional)}


def _given(fields: Json) -> Json:
    return {key: field for key, field in fields.items() if field is not None}


def _or_none(items: Sequence[Any]) -> list[Any] | None:
    return list(items) or None


def streams(options: Options) -> Json:
    """Which streams the client will attach, and what the container's standard input is."""
    detach = "detach" in options.given and options.detach
    wanted = options.attach or ["stdout", "stderr", *(["stdin"] if options.interactive else [])]
    attach_stdin = "stdin" in wanted and not detach
    return {
        "AttachStdin": attach_stdin,
        "AttachStdout": "stdout" in wanted and not detach,
        "AttachStderr": "stderr" in wanted and not detach,
        "Tty": options.tty,
        "OpenStdin": options.interactive,
        "StdinOnce": options.interactive and attach_stdin,
    }


def _environment(options: Options, environment: Mapping[str, str]) -> list[str] | None:
    files = (line for path in options.env_file for line in read_key_file(path, "env", environment))
    return _or_none([*files, *with_environment(options.env, environment)])


def _labels(options: Options) -> dict[str, str]:
    files = (line for path in options.label_file for line in read_key_file(path, "label", {}))
    return to_map([*files, *options.label])


def _entrypoint(options: Options) -> list[str] | None:
    """``--entrypoint ''`` resets the image's."""
    return [options.entrypoint] if "entrypoint" in options.given else None


def _healthcheck(options: Options) -> Json | None:
    timing = {
        "Interval": options.health_interval,
        "Timeout": options.health_timeout,
        "StartPeriod": options.health_start_period,
        "StartInterval": options.health_start_interval,
        "Retries": options.health_retries,
    }
    if options.no_healthcheck:
        if options.health_cmd or any(timing.values()):
            raise ValueError("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    for name in ("interval", "timeout", "retries", "start_period", "start_interval"):
        if getattr(options, f"health_{name}") < 0:
            raise ValueError(f"--health-{name.replace('_', '-')} cannot be negative")
    check: Json = {"Test": ["CMD-SHELL", options.health_cmd]} if options.health_cmd else {}
    check.update({key: given for key, given in timing.items() if given})
    return check or None


def _host(options: Options, binds: Sequence[str]) -> Json:
    optional = {
        "Init": options.init,
        "Tmpfs": _pairs(options.tmpfs, ":"),
        "Mounts": options.mount or None,
        "Annotations": _pairs(options.annotation),
        "Sysctls": _pairs(options.sysctl),
        "StorageOpt": _storage(options.storage_opt),
        "Runtime": options.runtime or None,
    }
    return {
        "Binds": _or_none(binds),
        "ContainerIDFile": options.cidfile,
        "LogConfig": _log(options),
        "RestartPolicy": restart_policy(options.restart, options.rm),
        "AutoRemove": options.rm,
        "VolumeDriver": options.volume_driver,
        "VolumesFrom": _or_none(options.volumes_from),
        "Dns": options.dns,
        "DnsOptions": options.dns_option,
        "DnsSearch": _search(options.dns_search),
        "ExtraHosts": _or_none(options.add_host),
        "Links": _or_none(options.link),
        "PublishAllPorts": options.publish_all,
        "ReadonlyRootfs": options.read_only,
        "ShmSize": options.shm_size,
        "Isolation": options.isolation,
        **_given(optional),
    }


def _pairs(items: Sequence[str], separator: str = "=") -> dict[str, str] | None:
    return {name: given for name, _, given in (item.partition(separator) for item in items)} or None


def _search(domains: Sequence[str]) -> list[str]:
    return ["."] if "." in domains and len(domains) == 1 else list(domains)


def _storage(items: Sequence[str]) -> dict[str, str] | None:
    if any("=" not in item for item in items):
        raise ValueError("invalid storage option")
    return _pairs(items)


def _log(options: Options) -> Json:
    if options.log_driver == "none" and options.log_opt:
        raise ValueError("invalid logging opts for driver none")
    return {"Type": options.log_driver, "Config": to_map(options.log_opt)}


def restart_policy(text: str, remove: bool) -> Json:
    """``on-failure:3`` as the API's ``RestartPolicy``."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise ValueError("invalid restart policy format: no policy provided before colon")
    if colon and not count.removeprefix("-").isdecimal():
        raise ValueError("invalid restart policy format: maximum retry count must be an integer")
    if remove and name not in ("", "no"):
        raise ValueError("conflicting options: cannot specify both --restart and --rm")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def _namespaces(options: Options) -> Json:
    _check_mode(options.pid, "--pid: invalid PID mode", containers=True)
    _check_mode(options.uts, "--uts: invalid UTS mode")
    _check_mode(options.userns, "--userns: invalid USER mode")
    if options.cgroupns not in ("", "host", "private"):
        raise ValueError("--cgroupns: invalid CGROUP mode")
    return {
        "CgroupnsMode": options.cgroupns,
        "IpcMode": options.ipc,
        "Cgroup": "",
        "PidMode": options.pid,
        "UTSMode": options.uts,
        "UsernsMode": options.userns,
        "Privileged": options.privileged,
        "GroupAdd": _or_none(options.group_add),
        "CapAdd": capabilities(options.cap_add),
        "CapDrop": capabilities(options.cap_drop),
    }


def _check_mode(mode: str, complaint: str, containers: bool = False) -> None:
    if mode in ("", "host") or (containers and mode.startswith("container:") and mode != "container:"):
        return
    raise ValueError(complaint)


def capabilities(names: Sequence[str]) -> list[str] | None:
    """Names as the kernel has them, sorted, each once: ``chown`` is ``CAP_CHOWN``."""
    upper = {name.upper() for name in names}
    return sorted({n if n == "ALL" or n.startswith("CAP_") else f"CAP_{n}" for n in upper}) or None


def _security(items: Sequence[str]) -> Json:
    """Security options; a seccomp profile is read here and sent whole."""
    sent, paths_masked = [], True
    for item in items:
        key, _, given = _split_security(item)
        if key == "seccomp" and given not in ("unconfined", "builtin"):
            sent.append(f"seccomp={_profile(given)}")
        elif key == "systempaths" and given == "unconfined":
            paths_masked = False
        else:
            sent.append(item)
    paths: list[str] | None = None if paths_masked else []
    return {"SecurityOpt": sent or None, "MaskedPaths": paths, "ReadonlyPaths": paths}


def _split_security(item: str) -> tuple[str, str, str]:
    for separator in ("=", ":"):
        if separator in item:
            return item.partition(separator)
    if item != "no-new-privileges":
        raise ValueError(f'Invalid --security-opt: "{item}"')
    return item, "", ""


def _profile(path: str) -> str:
    """The file's JSON without its white space."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"opening seccomp profile ({path}) failed: open {path}: {reason}") from None
    import json
    import re

    try:
        json.loads(text)
    except ValueError as error:
        raise ValueError(f"compacting json for seccomp profile ({path}) failed: {error}") from None
    return re.sub(JSON_TOKEN, lambda match: match[1] or "", text)


def _own_attachment(options: Options) -> Attachment:
    return Attachment(
        "default",
        aliases=tuple(options.network_alias),
        links=tuple(options.link) if any(n.user_defined for n in options.network) else (),
        ipv4=options.ip,
        ipv6=options.ip6,
        link_local=tuple(options.link_local_ip),
        mac=hardware_address(options.mac_address),
    )


def _resources(options: Options) -> Json:
    if not -1 <= options.memory_swappiness <= 100:
        raise ValueError(
            f"invalid value: {options.memory_swappiness}. Valid memory swappiness range is 0-100"
        )
    cdi = [device for device in options.device if is_cdi(device)]
    return {
        "OomScoreAdj": options.oom_score_adj,
        "CpuShares": options.cpu_shares,
        "Memory": options.memory,
        "NanoCpus": options.cpus,
        "CgroupParent": options.cgroup_parent,
        "BlkioWeight": options.blkio_weight,
        "BlkioWeightDevice": options.blkio_weight_device,
        "BlkioDeviceReadBps": options.device_read_bps,
        "BlkioDeviceWriteBps": options.device_write_bps,
        "BlkioDeviceReadIOps": options.device_read_iops,
        "BlkioDeviceWriteIOps": options.device_write_iops,
        "CpuPeriod": options.cpu_period,
        "CpuQuota": options.cpu_quota,
        "CpuRealtimePeriod": options.cpu_rt_period,
        "CpuRealtimeRuntime": options.cpu_rt_runtime,
        "CpusetCpus": options.cpuset_cpus,
        "CpusetMems": options.cpuset_mems,
        "Devices": [parse_device(device) for device in options.device if device not in cdi],
        "DeviceCgroupRules": _or_none(options.device_cgroup_rule),
        "DeviceRequests": [_cdi_request(cdi)] if cdi else None,
        "MemoryReservation": options.memory_reservation,
        "MemorySwap": options.memory_swap,
        "MemorySwappiness": options.memory_swappiness,
        "OomKillDisable": options.oom_kill_disable,
        "PidsLimit": options.pids_limit,
        "Ulimits": _ulimits(options.ulimit),
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    }


def _cdi_request(names: Sequence[str]) -> Json:
    return {"Driver": "cdi", "Count": 0, "DeviceIDs": list(names), "Capabilities": None, "Options": None}


def _ulimits(limits: Sequence[Json]) -> list[Json]:
    """Sorted by name; the last of a name wins."""
    by_name = {limit["Name"]: limit for limit in limits}
    return [by_name[name] for name in sorted(by_name)]
