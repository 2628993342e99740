"""Explanations and plans made by hand, for tests of how they are shown."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

ID = "4f1c0ffee" + "0" * 55
DEFAULT_CAPS = (
    "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD "
    "AUDIT_WRITE SETFCAP"
)


def layer(digest: str, command: str, size: int, shared: int) -> Json:
    return {
        "Digest": f"sha256:{digest * 8}", "CreatedBy": command, "Size": size, "SharedBy": shared,
        "Cause": "request: image shop:2",
    }  # fmt: skip


def namespace(kind: str, inode: int, shared: str = "", cause: str = "default") -> Json:
    return {"Kind": kind, "Inode": inode, "SharedWith": shared, "Cause": cause}


def mount(target: str, fstype: str, source: str, options: str, cause: str = "default") -> Json:
    return {
        "Target": target, "Fstype": fstype, "Source": source, "Options": options,
        "ReadOnly": options.startswith("ro"), "Cause": cause,
    }  # fmt: skip


def limit(
    name: str,
    file: str,
    unit: str,
    most: int | None,
    used: int | None = None,
    note: str = "",
    cause: str = "default",
) -> Json:
    return {
        "Name": name,
        "File": file,
        "Unit": unit,
        "Limit": most,
        "Used": used,
        "Note": note,
        "Cause": cause,
    }


def right(name: str, value: str, values: list[str] | None = None, cause: str = "default") -> Json:
    return {"Name": name, "Value": value, "Values": values or [], "Cause": cause}


def interface(name: str, addresses: list[str], host_end: str = "", bridge: str = "") -> Json:
    return {
        "Name": name, "Mac": "02:42:ac:11:00:02" if host_end else "", "Addresses": addresses, "State": "up",
        "HostEnd": host_end, "Bridge": bridge, "RxBytes": 18_240, "TxBytes": 96_112, "Cause": "default",
    }  # fmt: skip


def explanation(**changed: Any) -> Json:
    """A running web server with limits and ports; ``changed`` are fields to be had differently."""
    found: Json = {
        "Id": ID, "Name": "web", "Image": "shop:2", "Command": "httpd -f -p 80 -h /srv", "Status": "running",
        "Running": True, "Ended": "", "Pid": 4711,
        "Layers": [
            layer("a1b2c3d4", "COPY site /srv", 184_320, 0),
            layer("b1b2c3d4", "RUN apk add --no-cache curl && adduser -D shop", 8_912_000, 1),
            layer("c1b2c3d4", 'ADD rootfs.tar.xz / # buildkit', 4_263_936, 6),
        ],
        "Namespaces": [
            namespace("mnt", 4026532281), namespace("pid", 4026532284), namespace("net", 4026532190),
            namespace("ipc", 4026532283), namespace("uts", 4026532282),
            namespace("user", 4026531837, "host"), namespace("time", 4026531834, "host"),
        ],
        "Mounts": [
            mount("/", "overlay", "overlay", "rw,relatime", "request: image shop:2"),
            mount("/proc", "proc", "proc", "rw,nosuid,nodev,noexec,relatime"),
            mount("/dev", "tmpfs", "tmpfs", "rw,nosuid,size=65536k,mode=755"),
            mount("/sys", "sysfs", "sysfs", "ro,nosuid,nodev,noexec,relatime"),
            mount("/srv/data", "ext4", "/home/me/data", "ro,relatime", "request: -v /home/me/data:/srv/data:ro"),
        ],
        "Limits": [
            limit("memory", "memory.limit_in_bytes", "bytes", 64 << 20, 9_437_184, "", "request: --memory 64m"),
            limit("memory and swap", "memory.memsw.limit_in_bytes", "bytes", 128 << 20, 9_437_184, "",
                  "request: --memory-swap 128m"),
            limit("processes", "pids.max", "count", 100, 3, "", "request: --pids-limit 100"),
            limit("CPU", "cpu.cfs_quota_us", "microseconds", 50_000, None, "throttled in 12 of 100 periods",
                  "request: --cpus 0.5"),
            limit("CPU period", "cpu.cfs_period_us", "microseconds", 100_000),
            limit("CPU shares", "cpu.shares", "count", 1024),
        ],
        "Rights": [
            right("effective", "14", DEFAULT_CAPS.split()),
            right("bounding", "14", DEFAULT_CAPS.split()),
            right("seccomp", "filter, lets 312 calls through"),
            right("no new privileges", "no"),
            right("user map", "0 → 0 (all)"),
            right("open files", "1024:524288"),
        ],
        "Interfaces": [
            interface("eth0", ["172.17.0.2/16"], "veth3f2a1c", "wherry0"), interface("lo", ["127.0.0.1/8"]),
        ],
        "Routes": [
            {"Destination": "default", "Gateway": "172.17.0.1", "Interface": "eth0", "Cause": "default"},
            {"Destination": "172.17.0.0/16", "Gateway": "", "Interface": "eth0", "Cause": "default"},
        ],
        "Ports": [
            {"Protocol": "tcp", "Host": "0.0.0.0:8080", "Container": "172.17.0.2:80", "Packets": 1284,
             "Bytes": 98_304, "Cause": "request: -p 8080:80"},
            {"Protocol": "tcp", "Host": "127.0.0.1:8443", "Container": "172.17.0.2:443", "Packets": 0,
             "Bytes": 0, "Cause": "request: -p 127.0.0.1:8443:443"},
        ],
        "Processes": [
            {"Pid": 4711, "Command": "httpd -f -p 80 -h /srv", "Pss": 412_000, "Descriptors": 5,
             "Cause": "request: command"},
            {"Pid": 4736, "Command": "sh -c 'while :; do date; sleep 60; done'", "Pss": 200_000, "Descriptors": 4,
             "Cause": "request: command"},
        ],
        "Policies": [
            {"Name": "streams", "Value": "pipes; standard input is empty", "Cause": "default"},
            {"Name": "to stop it", "Value": "SIGINT, then SIGKILL after 10 seconds",
             "Cause": "request: --stop-signal SIGINT"},
        ],
        "Reach": [
            {"Could": "It can change, add and delete files in the host's /srv.", "Origin": "request",
             "Cause": "-v /srv:/srv"},
        ],
        "Cost": {
            "Charged": 9_437_184, "Anonymous": 380_928, "Tmpfs": 8_388_608, "Cache": 204_800,
            "Processes": 2, "Descriptors": 9, "Private": 380_928, "Shared": 231_072, "Monitor": 102_400,
            "Writable": 36_864, "Log": 1_204,
        },
        "Drift": [], "Notes": [],
    }  # fmt: skip
    return {**found, **changed}


def drift(kind: str, what: str, planned: str, actual: str, cause: str = "") -> Json:
    return {"Kind": kind, "What": what, "Planned": planned, "Actual": actual, "Cause": cause}


DRIFTS = [
    drift("limit", "memory.limit_in_bytes", "67108864", "134217728", "request: --memory 64m"),
    drift("mount", "/mnt", "", "tmpfs rw"),
    drift("port", "0.0.0.0:8080/tcp", "172.17.0.2:80", "", "request: -p 8080:80"),
]
