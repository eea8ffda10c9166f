"""Whom the server listens to, from the command that started it."""

import argparse
import ipaddress
from collections.abc import Sequence

__all__ = ["exposure", "start_address"]


def exposure(arguments: Sequence[str], *, authenticated: bool) -> str:
    """The warning for a server that the network reaches, and that asks nobody for a password or sends it unencrypted.

    Args:
        arguments: `sys.argv` of the server.
        authenticated: whether MONAI Label's authentication is on.

    Returns:
        The warning; empty when the server listens to this computer alone, asks for a login over TLS, or was started by
        another command than MONAI Label's.

    >>> exposure(["monailabel", "start_server", "--host", "127.0.0.1"], authenticated=False)
    ''
    >>> exposure(["monailabel", "start_server", "-i", "0.0.0.0"], authenticated=False)[:46]
    'The server listens on 0.0.0.0 and asks nobody '
    """
    if "start_server" not in arguments[:2]:
        return ""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    # MONAI Label's own option and default.
    parser.add_argument("-i", "--host", default="0.0.0.0")
    parser.add_argument("--ssl_certfile")
    given = parser.parse_known_args(list(arguments[2:]))[0]
    host = str(given.host)
    if _is_local(host) or (authenticated and given.ssl_certfile):
        return ""
    if authenticated:
        return (
            f"The server listens on {host} without TLS: passwords, images and labels cross the network so that anybody "
            "there can read them. Put a reverse proxy with TLS in front; docs/deployment.md says how."
        )
    return (
        f"The server listens on {host} and asks nobody for a password: whoever reaches its port can see every image, "
        "replace every label and start trainings. Start it with `--host 127.0.0.1` and reach it by an SSH tunnel or a "
        "reverse proxy with a password; docs/deployment.md says how."
    )


def start_address(arguments: Sequence[str]) -> str:
    """The address to open in a browser on the server's own computer.

    Args:
        arguments: `sys.argv` of the server.

    Returns:
        The address; empty when the server was started by another command than MONAI Label's.

    >>> start_address(["monailabel", "start_server", "--host", "0.0.0.0", "--port", "8001"])
    'http://127.0.0.1:8001/'
    """
    if "start_server" not in arguments[:2]:
        return ""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    # MONAI Label's own options and defaults.
    parser.add_argument("-i", "--host", default="0.0.0.0")
    parser.add_argument("-p", "--port", default="8000")
    parser.add_argument("--ssl_certfile")
    given = parser.parse_known_args(list(arguments[2:]))[0]
    host = "127.0.0.1" if given.host in ("0.0.0.0", "::") else str(given.host)
    name = f"[{host.strip('[]')}]" if ":" in host else host
    return f"{'https' if given.ssl_certfile else 'http'}://{name}:{given.port}/"


def _is_local(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
