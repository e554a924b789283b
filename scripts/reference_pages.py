"""MkDocs hook that generates the reference pages from the code: messages, parameters, commands, HTTP, model cards."""

import argparse
import re
from pathlib import Path

from mkdocs.structure.files import File

from emotion_ros.cli import build_parser
from emotion_ros.config import NODES, CaptureConfig, ServeConfig
from emotion_ros.config.options import as_yaml, options

ROOT = Path(__file__).resolve().parents[1]

TYPE_NAMES = {bool: "bool", int: "int", float: "float", str: "string", tuple: "string[]"}
"""Type of an option to its name in ROS parameters."""


def on_files(files, config):
    """Add the generated pages to those of docs/."""
    pages = {
        "reference/messages.md": messages(),
        "reference/parameters.md": parameters(),
        "reference/command_line.md": command_line(),
        "reference/http.md": http(),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(),
        "contributing.md": (ROOT / "CONTRIBUTING.md").read_text(),
        **{f"models/{card.name}": card.read_text() for card in sorted((ROOT / "models").glob("*.md"))},
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown, page, **_):
    """Rewrite links to files outside docs/: to the generated page if there is one, otherwise to the name only."""
    to_root = "../" * page.file.src_uri.count("/")
    if page.file.src_uri in ("changelog.md", "contributing.md"):
        markdown = re.sub(r"\]\((?:docs/)?([\w/]+\.md)", r"](\1", markdown)
    markdown = re.sub(r"\]\(\.\./models/", f"]({to_root}models/", markdown)
    markdown = re.sub(r"\]\(\.\./CONTRIBUTING\.md", f"]({to_root}contributing.md", markdown)
    markdown = re.sub(
        r"\]\(\.\./msg(?:/(\w+)\.msg)?\)",
        lambda link: f"](reference/messages.md{f'#{link[1].lower()}' if link[1] else ''})",
        markdown,
    )
    markdown = markdown.replace("](../config/detect.yaml)", "](reference/parameters.md)")
    return re.sub(r"\[([^\]]*)\]\(\.\./(?:config|examples|msg)/[^)]*\)", r"`\1`", markdown)


def messages():
    """Return the page of messages and services: their files, whose comments describe each field."""
    parts = [
        f"## {path.stem}\n\n```text\n{path.read_text().rstrip()}\n```"
        for folder in ("msg", "srv")
        for path in sorted((ROOT / folder).iterdir())
    ]
    return "# Messages and services\n\n" + "\n\n".join(parts) + "\n"


def parameters():
    """Return the page of all parameters of all nodes, by group."""
    intro = (
        "# Parameters\n\nLive parameters may change while the node is active; "
        "[configuration](../configuration.md#when-a-change-takes-effect) explains the others."
    )
    nodes = {**NODES, "capture": (CaptureConfig,)}
    parts = [f"## {node}\n\n{_groups(configs, live=True)}" for node, configs in nodes.items()]
    return "\n\n".join([intro, *parts]) + "\n"


def command_line():
    """Return the page of all commands with their options, by group."""
    (commands,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    parts = [
        "# Command line\n\n`emotion-ros COMMAND [OPTIONS]`. Exit status: 0 success, 1 failure, 2 wrong use, 130 Ctrl-C."
    ]
    for name, parser in commands.choices.items():
        description = _cell(parser.description)
        parts.append(f"## {name}\n\n{description[0].upper()}{description[1:]}.")
        groups = [group for group in parser._action_groups if group._group_actions]
        parts += [_command_group(group) for group in groups]
    return "\n\n".join(parts) + "\n"


def http():
    """Return the page of the HTTP API, from its OpenAPI description."""
    from emotion_ros.serving.app import create_app
    from emotion_ros.serving.metrics import Metrics

    schema = create_app(None, ServeConfig(), "", Metrics()).openapi()
    parts = [
        "# HTTP\n\nThe service publishes its OpenAPI description at `/openapi.json`. "
        "[Serving](../serving.md) explains limits and tokens."
    ]
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            responses = operation["responses"].items()
            rows = [f"| {status} | {_cell(response['description'])} |" for status, response in responses]
            table = "\n".join(["| status | meaning |", "| --- | --- |", *rows])
            parts.append(f"## {method.upper()} {path}\n\n{operation['description']}\n\n{table}")
    parts.append("## Options of `emotion-ros serve`\n\n" + _groups((ServeConfig,)))
    return "\n\n".join(parts) + "\n"


def _groups(configs, live=False):
    """Return a table per group of options, in the order of the configs."""
    known = [option for config in configs for option in options(config)]
    names = dict.fromkeys(option.group for option in known)
    parts = []
    for name in names:
        heading = f"### {name.capitalize()}\n\n" if name else ""
        parts.append(heading + _table([option for option in known if option.group == name], live))
    return "\n\n".join(parts)


def _table(entries, live):
    columns = ["name", "type", "default", "range", *(["live"] if live else []), "meaning"]
    rows = [_row(columns), _row(["---"] * len(columns))]
    for option in entries:
        cells = [f"`{option.name}`", TYPE_NAMES[option.type], _default(option), _range(option)]
        rows.append(_row([*cells, *(["yes" if option.live else ""] if live else []), _cell(option.description)]))
    return "\n".join(rows)


def _default(option):
    """Return the default of an option; quotes only around an empty text."""
    is_text = isinstance(option.default, str) and option.default
    return f"`{option.default if is_text else as_yaml(option.default)}`"


def _range(option):
    """Return the allowed values of an option."""
    if option.choices:
        return ", ".join(f"`{choice}`" for choice in option.choices)
    return "" if option.minimum is None else f"{option.minimum:g} to {option.maximum:g}"


def _command_group(group):
    rows = [_row([group.title, "meaning"]), _row(["---", "---"])]
    for action in group._group_actions:
        names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.metavar or action.dest}`"
        rows.append(_row([names, _cell((action.help or "").replace("%%", "%"))]))
    return "\n".join(rows)


def _row(cells):
    return f"| {' | '.join(cells)} |"


def _cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;")
