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
        if not _is_loopback(host):
            raise ExposedError(reason_against(host))


def reason_against(host: str) -> str:
    """Why a host is not served, and the ways out."""
    return (
        f"{host} can be reached by others and there are no API keys: set "
        f"{ENV_PREFIX}API_KEYS_FILE, or {ENV_PREFIX}ALLOW_ANONYMOUS=true where something "
        "else guards the service"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
