"""Authentication of HTTP requests, before any of the body is read."""

from __future__ import annotations

import hmac
import ipaddress
import os
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from emotion_ros.errors import ConfigError

TOKEN_VARIABLE = "EMOTION_ROS_TOKEN"
"""Environment variable with the token; used if no token file is given."""

TOKEN_COOKIE = "emotion_ros_token"
"""Cookie with the token in a browser."""

MIN_TOKEN_LENGTH = 16
"""Minimum characters of a token; ``secrets.token_urlsafe()`` gives 43."""


def is_loopback(host: str) -> bool:
    """Return True if only this machine can connect to an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_token(file: str, host: str) -> str:
    """Return the token that clients must send; empty if none is needed.

    Args:
        file: path of the token file; empty: use the environment variable.
        host: address that the server listens on; a loopback address needs no token.

    Raises:
        ConfigError: the token cannot be read, is too short, or is missing although ``host`` needs one.
    """
    try:
        token = Path(file).read_text().strip() if file else os.environ.get(TOKEN_VARIABLE, "").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"token_file: expected a file with a token: {error}") from error
    if not token and not file and is_loopback(host):
        return ""
    if len(token) < MIN_TOKEN_LENGTH or not token.isascii():
        raise ConfigError(
            f"host {host}: expected a token of at least {MIN_TOKEN_LENGTH} ASCII characters in --token-file or "
            f"{TOKEN_VARIABLE}, got {len(token)} characters; generate one with python3 -c 'import secrets; "
            "print(secrets.token_urlsafe())'"
        )
    return token


class Authenticator:
    """Rejects requests without the token, to an unexpected host name, or from another web site.

    Args:
        token: expected in the ``Authorization: Bearer`` header or in the cookie; empty: accept requests to a loopback
            address.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def __call__(self, request: HTTPConnection) -> None:
        """Check an HTTP or WebSocket request.

        Raises:
            HTTPException: 401 (no token or a wrong one) or 403 (wrong host or origin).
        """
        if self._token:
            self._check_token(request)
        elif not is_loopback(_split(f"//{request.headers.get('host', '')}").hostname or ""):
            # A web page whose domain resolves to 127.0.0.1 (DNS rebinding) sends its own name.
            raise HTTPException(403, "expected a request to localhost or a loopback address")
        origin = request.headers.get("origin")
        if origin is not None and _split(origin).netloc != request.headers.get("host"):
            raise HTTPException(403, "expected no request from another web site")

    def accepts(self, token: str) -> bool:
        """Return True for the right token, in a time that does not depend on the number of right characters."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self._token)

    def _check_token(self, request: HTTPConnection) -> None:
        header = request.headers.get("authorization") or f"Bearer {request.cookies.get(TOKEN_COOKIE, '')}"
        if not self.accepts(header.removeprefix("Bearer ")) or not header.startswith("Bearer "):
            raise HTTPException(401, "expected the header Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})


def _split(url: str) -> SplitResult:
    """Split a URL; empty for an invalid one."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")
