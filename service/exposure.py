"""Keeps an API without keys from listening to the world by accident. Knows no transport."""

import ipaddress

from service.settings import ENV_PREFIX, Settings


class ExposedError(Exception):
    """An address that others can reach, and no keys."""


def expect_guarded(config: Settings, *hosts: str) -> None:
    """ExposedError if a host is not this machine alone while there are no API keys."""
    if config.api_keys_file is not None or config.allow_anonymous:
        return
    for host in hosts:
        if not is_own(host):
            raise ExposedError(reason_against(host))


def reason_against(host: str) -> str:
    """Why a host is not served, and the ways out."""
    return (
        f"{host} can be reached by others and there are no API keys: set "
        f"{ENV_PREFIX}API_KEYS_FILE, or {ENV_PREFIX}ALLOW_ANONYMOUS=true where something "
        "else guards the service"
    )


def is_own(host: str) -> bool:
    """Whether a host, or an end of a connection, can be this machine alone; a path is a socket."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.startswith("/")
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
