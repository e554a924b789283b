"""Pages of the documentation that are made from the code: interfaces, topics, parameters, commands, model cards.

MkDocs calls it (see mkdocs.yml).
"""

import argparse
import re
from pathlib import Path

from mkdocs.structure.files import File

from emotion_ros.cli import build_parser
from emotion_ros.config import NODES, CaptureConfig, ServeConfig
from emotion_ros.config.options import options

ROOT = Path(__file__).resolve().parents[1]


def on_files(files, config):
    """Add the pages to those of docs/."""
    pages = {
        "reference/messages.md": messages(),
        "reference/topics.md": topics(),
        "reference/parameters.md": parameters(),
        "reference/command_line.md": command_line(),
        "reference/http.md": http(),
        **{f"models/{card.name}": card.read_text() for card in sorted((ROOT / "models").glob("*.md"))},
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown, page, **_):
    """What lies beside docs/ in the repository lies in it here, or is named only."""
    here = "../" * page.file.src_uri.count("/")
    markdown = re.sub(r"\]\(\.\./models/", f"]({here}models/", markdown)
    return re.sub(r"\[([^\]]*)\]\(\.\./(?:config|examples|msg)/[^)]*\)", r"`\1`", markdown)


def messages():
    """The interfaces, whose comments say of each field what it means."""
    parts = [
        f"## {path.stem}\n\n```text\n{path.read_text().rstrip()}\n```"
        for folder in ("msg", "srv")
        for path in sorted((ROOT / folder).iterdir())
    ]
    return "# Messages and services\n\n" + "\n\n".join(parts) + "\n"


def topics():
    """That section of the README, which the tests compare with what the nodes do."""
    found = re.search(r"\n## Topics\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.S)
    text = re.sub(r"\]\(docs/", "](../", found[1])
    text = re.sub(r"\[([^\]]*)\]\((?:msg|examples)[^)]*\)", r"`\1`", text)
    return f"# Topics and services\n{text}\n"


def parameters():
    """Every parameter of every node."""
    nodes = {**NODES, "capture": (CaptureConfig,)}
    return "# Parameters\n\n" + "\n\n".join(
        f"## {node}\n\n" + _table([each for config in configs for each in options(config)], live=True)
        for node, configs in nodes.items()
    )


def command_line():
    """Every command with its options."""
    (commands,) = (each for each in build_parser()._actions if isinstance(each, argparse._SubParsersAction))
    parts = ["# Command line\n\n`emotion-ros COMMAND …`; wrong use ends with 2, a failure with 1, Ctrl-C with 130.\n"]
    for name, parser in commands.choices.items():
        parts.append(f"## {name}\n\n{_cell(parser.description)}.\n\n| | |\n| --- | --- |")
        for action in parser._actions:
            names = ", ".join(f"`{each}`" for each in action.option_strings) or f"`{action.metavar or action.dest}`"
            parts[-1] += f"\n| {names} | {_cell((action.help or '').replace('%%', '%'))} |"
    return "\n\n".join(parts) + "\n"


def http():
    """What the service's own description says."""
    from emotion_ros.serving.app import create_app
    from emotion_ros.serving.batching import Engine
    from emotion_ros.serving.metrics import Metrics

    config = ServeConfig()
    engine = Engine(lambda: None, config.batch, 0.0, config.queue)
    schema = create_app(engine, config, "", Metrics()).openapi()
    parts = [
        "# HTTP\n\nThe live description is at `/openapi.json`; [serving](../serving.md) explains limits and tokens."
    ]
    for path, methods in schema["paths"].items():
        for method, about in methods.items():
            rows = [f"| {code} | {_cell(one['description'])} |" for code, one in about["responses"].items()]
            answers = "| status | |\n| --- | --- |\n" + "\n".join(rows)
            parts.append(f"## {method.upper()} {path}\n\n{about['description']}\n\n{answers}")
    parts.append("## Options of `emotion-ros serve`\n\n" + _table(options(ServeConfig)))
    return "\n\n".join(parts) + "\n"


def _table(entries, live=False):
    rows = ["| name | default | meaning |", "| --- | --- | --- |"]
    for each in entries:
        limits = f"; {each.minimum:g} to {each.maximum:g}" if each.minimum is not None else ""
        limits += f"; one of {', '.join(each.choices)}" if each.choices else ""
        about = _cell(each.description + limits) + (" (live)" if live and each.live else "")
        default = ", ".join(each.default) if isinstance(each.default, tuple) else each.default
        rows.append(f"| `{each.name}` | {f'`{default}`' if str(default) else ''} | {about} |")
    return "\n".join(rows)


def _cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;")
