"""Emotions of each person over a session: python3 examples/plot_session.py out/emotions.jsonl session.png

Reads what the recorder or `emotion-ros detect --json` wrote. Needs Matplotlib.
"""

import json
import sys
from collections import defaultdict

from matplotlib.figure import Figure


def main(source, picture):
    people = defaultdict(list)
    with open(source) as lines:
        for line in map(json.loads, lines):
            for person in line["people"]:
                people[person["id"]].append((line["time"], person["probabilities"]))
    people = {id: seen for id, seen in people.items() if len(seen) > 1}
    figure = Figure(figsize=(10, 2.5 * max(len(people), 1)), layout="constrained")
    for axes, (id, seen) in zip(figure.subplots(max(len(people), 1), squeeze=False)[:, 0], people.items()):
        times, shares = zip(*seen)
        axes.stackplot(times, *([each[label] for each in shares] for label in shares[0]), labels=list(shares[0]))
        axes.set(title=id, xlabel="seconds", ylabel="probability", ylim=(0, 1))
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
