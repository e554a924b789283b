"""Plot the emotions of each person over a session: python3 examples/plot_session.py out/emotions.jsonl session.png

Reads the lines that the recorder or `emotion-ros detect --json` writes. Requires Matplotlib.
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
    people = {id: samples for id, samples in people.items() if len(samples) > 1}  # one sample is no curve
    figure = Figure(figsize=(10, 2.5 * max(len(people), 1)), layout="constrained")
    for axes, (id, samples) in zip(figure.subplots(max(len(people), 1), squeeze=False)[:, 0], people.items()):
        times, probabilities = zip(*samples)
        labels = list(probabilities[0])
        axes.stackplot(times, *([each[label] for each in probabilities] for label in labels), labels=labels)
        axes.set(title=id, xlabel="seconds", ylabel="probability", ylim=(0, 1))
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
