"""Runs run.py in a process group of its own, so that Ctrl-C ends all its processes: see run.py."""

import sys
from pathlib import Path

from processes import run_group

raise SystemExit(run_group([sys.executable, Path(__file__).with_name("run.py"), *sys.argv[1:]]))
