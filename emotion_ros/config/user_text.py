"""Reads text that a user wrote, in a parameter or a file: the one place for its limits."""

from __future__ import annotations

from pathlib import Path

import yaml

from emotion_ros.config.options import MAX_TEXT_CHARACTERS
from emotion_ros.errors import ConfigError

MAX_CHARACTERS = MAX_TEXT_CHARACTERS
"""Length of a text. ``config/gestures.yaml`` has 2,900; reading 16,384 takes at most about 0.3 s."""

MAX_DEPTH = 16
"""Levels of lists and mappings in each other. ``config/gestures.yaml`` has 5; each level takes stack of Python."""

MAX_ALIASES = 8
"""References to an anchor. 8 expand a text at most 18-fold (3 · 3 · 2); 63 expand 300 characters to 43 million."""

MAX_SCALAR_CHARACTERS = 256
"""Length of one value. Python does not print integers of more than 4,300 digits."""

MAX_LABEL_CHARACTERS = 64
"""Length of a label or a gesture's name. Each message holds all labels."""


class _LimitedLoader(yaml.SafeLoader):
    """Refuses deep texts, many aliases and long values while it reads, before they cost time or stack."""

    _depth = _aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        self._aliases += self.check_event(yaml.AliasEvent)
        if self._depth > MAX_DEPTH:
            raise ConfigError(f"expected at most {MAX_DEPTH} levels of lists and mappings, got more")
        if self._aliases > MAX_ALIASES:
            raise ConfigError(f"expected at most {MAX_ALIASES} aliases, got more")
        node = super().compose_node(parent, index)
        if isinstance(node, yaml.ScalarNode) and len(node.value) > MAX_SCALAR_CHARACTERS:
            raise ConfigError(f"expected values of at most {MAX_SCALAR_CHARACTERS} characters, got {len(node.value)}")
        self._depth -= 1
        return node


# Dates are text: a label is none, and reading one can fail.
_LimitedLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(text: str, source: str) -> object:
    """Return the value of a YAML text.

    Args:
        text: one YAML document.
        source: parameter or file, which starts the error message. The message never quotes the text.

    Raises:
        ConfigError: the text is not YAML, or exceeds a limit of this module.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"{source}: expected at most {MAX_CHARACTERS} characters, got {len(text)}")
    try:
        return yaml.load(text, _LimitedLoader)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "an unknown line"
        raise ConfigError(f"{source}: expected YAML, got a mistake in {where}") from error
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:
        # PyYAML converts values without checks: "!!int x" is a ValueError, "!!bool x" a KeyError.
        raise ConfigError(f"{source}: expected YAML, got a value that does not fit its tag") from error


def read_yaml_file(path: Path) -> object:
    """Return the value of a YAML file.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or exceeds a limit of this module.
    """
    return read_yaml(read_text_file(path), str(path))


def read_text_file(path: Path) -> str:
    """Return the text of a file of at most :data:`MAX_CHARACTERS` bytes.

    Raises:
        ConfigError: it is no regular file, cannot be read, is longer, or is not UTF-8. The message quotes none of it.
    """
    try:
        if not path.is_file():  # reading a pipe would wait, reading a device need not end
            raise ConfigError(f"{path}: expected a text file, found none")
        with path.open("rb") as file:
            content = file.read(MAX_CHARACTERS + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else "the path contains a NUL"
        raise ConfigError(f"{str(path)[:200]!r}: expected a text file, cannot read it: {reason}") from error
    if len(content) > MAX_CHARACTERS:
        raise ConfigError(f"{path}: expected at most {MAX_CHARACTERS} bytes, got more")
    try:
        return content.decode("utf-8-sig")  # Windows' editors write a byte order mark
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected text in UTF-8, got other bytes at position {error.start}") from error


def is_label(text: str) -> bool:
    """Return whether ROS messages and terminals can show a text: no control characters, no half of a surrogate pair."""
    return 0 < len(text) <= MAX_LABEL_CHARACTERS and text.isprintable()


def kind_of(value: object) -> str:
    """Return what a value of YAML is, for an error message that must not quote it."""
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "another number")
