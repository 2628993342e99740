"""Whose wish it is what the engine makes for a container: its files in /etc, its log, its place on a network. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from wherry.engine.config import EngineConfig
from wherry.engine.task import Task
from wherry.messages.container import Config, HostConfig, LogConfig
from wherry.network.drivers.catalogue import DEFAULT_NETWORK
from wherry.runtime.causes import by_daemon, flagged, hostname_cause, namespace_causes, together, valued
from wherry.runtime.steps import DEFAULT, Cause, asked

HOSTS, HOSTNAME, RESOLV_CONF = "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"
USUAL_LOG = "json-file"


def network_cause(config: Config, host: HostConfig) -> Cause:
    """Of the network that a container is on, or of none; the default for the default one."""
    return namespace_causes(config, host, DEFAULT_NETWORK).get("network", DEFAULT)


def file_causes(task: Task, defaults: EngineConfig, host_name: str) -> Mapping[str, Cause]:
    """Of each file in /etc that the engine writes; with another container's network its files come, too."""
    config, host = task.config, task.host
    network = network_cause(config, host)
    if host.network_mode.startswith("container:"):
        return dict.fromkeys((HOSTS, HOSTNAME, RESOLV_CONF), network)
    name = hostname_cause(task.id, config, host, host_name)
    domain = valued("--domainname", config.domainname)
    return {
        HOSTS: together(name, domain, flagged("--add-host", host.extra_hosts), network),
        HOSTNAME: name,
        RESOLV_CONF: together(dns_cause(host, defaults), network if host.network_mode == "host" else DEFAULT),
    }


def dns_cause(host: HostConfig, defaults: EngineConfig) -> Cause:
    """What the request does not say of name servers and domains is the daemon's to say."""
    servers = " ".join(f"--dns {server}" for server in defaults.dns)
    domains = " ".join(f"--dns-search {domain}" for domain in defaults.dns_search)
    return together(
        flagged("--dns", host.dns) if host.dns else by_daemon(servers, servers),
        flagged("--dns-option", host.dns_options),
        flagged("--dns-search", host.dns_search) if host.dns_search else by_daemon(domains, domains),
    )


def log_cause(log: LogConfig, defaults: EngineConfig) -> Cause:
    """Of how output is kept, or not."""
    options = dict(log.config or {})
    by_default = (log.type, options) == (defaults.log_driver, dict(defaults.log_opts))
    usual = USUAL_LOG if by_default else defaults.log_driver
    driver = [f"--log-driver {log.type}"] if log.type != usual else []
    given = (
        [flagged("--log-opt", [f"{key}={value}" for key, value in options.items()]).text] if options else []
    )
    text = " ".join([*driver, *given])
    return by_daemon(text, text) if by_default else asked(text)
