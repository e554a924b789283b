"""Who may call, and how often: before anything of a request's body is read."""

from __future__ import annotations

import hmac
import ipaddress
import os
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from emotion_ros.errors import ConfigError

TOKEN = "EMOTION_ROS_TOKEN"
"""Environment variable with the token, where no file is named."""

COOKIE = "emotion_ros_token"
"""Where a browser keeps the token."""

LEAST_TOKEN = 16
"""Characters of a token."""


def is_own(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_token(file: str, host: str) -> str:
    """The token that callers must send; empty where none is needed.

    Raises:
        ConfigError: it cannot be read, is too short, or is missing though others reach ``host``.
    """
    try:
        token = Path(file).read_text().strip() if file else os.environ.get(TOKEN, "").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"token_file: expected a file with a token: {error}") from error
    if not token and not file and is_own(host):
        return ""
    if len(token) < LEAST_TOKEN or not token.isascii():
        raise ConfigError(
            f"host {host}: expected a token of {LEAST_TOKEN} ASCII characters or more in --token-file or {TOKEN}, got "
            f"{len(token)}; make one: python3 -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return token


class Authenticator:
    """Refuses who may not call.

    Args:
        token: that callers must send as ``Authorization: Bearer``, or in the cookie; empty: whoever is on this machine
            may call.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def __call__(self, request: HTTPConnection) -> None:
        """Let a request or a web socket pass.

        Raises:
            HTTPException: 401 or 403.
        """
        if self._token:
            sent = request.headers.get("authorization") or f"Bearer {request.cookies.get(COOKIE, '')}"
            if not self.fits(sent.removeprefix("Bearer ")) or not sent.startswith("Bearer "):
                raise HTTPException(401, "expected Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
        elif not is_own(_split(f"//{request.headers.get('host', '')}").hostname or ""):
            raise HTTPException(403, "expected a request to this machine by its own name, localhost")
        origin = request.headers.get("origin")
        if origin is not None and _split(origin).netloc != request.headers.get("host"):
            raise HTTPException(403, "expected no request from another web site")

    def fits(self, token: str) -> bool:
        """Whether it is the token; how long that takes does not tell how much of it is right."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self._token)


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")
