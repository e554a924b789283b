"""Attack this package with hostile input, print a table in Markdown, and fail if anything crashed, hung or grew.

attack [--inputs 100000] [--seed 1] [--only PART...] [--out FILE]

Most inputs go to the decoders, readers and checks, in child processes with limits. The others go to a detector node and
to an HTTP service that run, over the loopback interface only. Parts are the names in the table, or beginnings of them.
"""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import children
import files
import onnx_files
import pictures
import texts
import uploads
from results import COLUMNS, row, total

from emotion_ros.cli.markdown import markdown_table

MODULES = (pictures, texts, uploads, files, onnx_files)

LIVE_INPUTS = {
    "images to a detector node": 2_000,
    "parameters of a detector node": 300,
    "requests to the HTTP service": 3_000,
}
"""Number of inputs of a full run."""

FULL_INPUTS = 100_000
WORKERS = 2


def attack_live(name, seed, count):
    """Attack a running process; its libraries are imported only then."""
    if name == "requests to the HTTP service":
        import live_server

        return live_server.attack(seed, count)
    import live_node

    run = live_node.attack_images if name.startswith("images") else live_node.attack_parameters
    return run(seed, count)


def parts():
    """Return the name of each part, its number of inputs in a full run, and a function of seed and number."""
    live = [
        (name, count, lambda seed, number, name=name: attack_live(name, seed, number))
        for name, count in LIVE_INPUTS.items()
    ]
    in_children = [
        (
            name,
            target.inputs_per_run,
            lambda seed, number, module=module, name=name: children.attack(module.__name__, name, seed, number),
        )
        for module in MODULES
        for name, target in module.TARGETS.items()
    ]
    return [*in_children, *live]


def main():
    """Run the attack and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="attack", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=FULL_INPUTS, help="number of inputs of all parts together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[""], metavar="PART")
    parser.add_argument("--out", type=Path, help="file for the table")
    arguments = parser.parse_args()
    chosen = [part for part in parts() if part[0].startswith(tuple(arguments.only))]
    share = arguments.inputs / sum(count for _, count, _ in chosen)
    start = time.monotonic()
    results = run(chosen, share, arguments.seed)
    table = markdown_table(COLUMNS, [*map(row, results), total(results)])
    print(f"{table}\n\n{time.monotonic() - start:.0f} s, seed {arguments.seed}")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(f"{table}\n")
    failures = [f"{each.name}: {failure}" for each in results for failure in each.failures]
    print("\n".join(failures), file=sys.stderr)
    return int(bool(failures))


def run(chosen, share, seed):
    """Run a share of the inputs of each part, two parts at a time; return the results in the order of the parts.

    The live parts share the ROS context of this process, so they are one job.
    """
    jobs = [[part] for part in chosen if part[0] not in LIVE_INPUTS]
    live = [part for part in chosen if part[0] in LIVE_INPUTS]

    def work(job):
        results = []
        for _, count, attack in job:
            results.append(attack(seed, max(round(count * share), 1)))
            print(" | ".join(row(results[-1])), file=sys.stderr, flush=True)  # the table comes minutes later
        return results

    with ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(work, job) for job in ([live] if live else []) + jobs]
        done = [future.result() for future in futures]
    return [result for results in (done[1:] + done[:1] if live else done) for result in results]


if __name__ == "__main__":
    raise SystemExit(main())
