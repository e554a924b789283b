"""Runs a contender in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

CONTENDER_SCRIPT = Path(__file__).with_name("contender.py")


class ContenderProcess:
    """A process that runs contender.py in the environment that the contender needs.

    Attributes:
        first_response: ``ready``, or the accuracy if pictures and labels were given.
    """

    def __init__(self, peers, name, *arguments):
        is_peer = name.startswith("fer")
        python = peers.absolute() / "bin" / "python" if is_peer else sys.executable
        variables = {**os.environ, "FER_WITH_MTCNN": str(peers / "mtcnn")}
        if is_peer:  # this package's libraries conflict with those of the peers' environment
            variables = {key: value for key, value in variables.items() if key not in ("PYTHONPATH", "LD_LIBRARY_PATH")}
        command = [str(python), str(CONTENDER_SCRIPT), name, *arguments]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._name, self._process = name, subprocess.Popen(command, env=variables, text=True, **pipes)
        self.first_response = self._read()

    def request(self, line):
        """Send a line and return the response."""
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self):
        """End the process and wait for it."""
        self._process.stdin.close()
        self._process.wait()

    def _read(self):
        for line in self._process.stdout:
            if line.startswith(("{", "[", '"', "0", "1")):  # TensorFlow writes other lines to standard output
                return json.loads(line)
        raise SystemExit(
            f"{self._name}: expected a line of JSON, the process ended without one; run {CONTENDER_SCRIPT} "
            f"'{self._name}' to see its error"
        )
