"""Refresh on a schedule: the plan first, so that the log says what is new and why; then the run.

    ray job submit --working-dir . -- python jobs/refresh.py examples/cluster-s3.yaml

With nothing pending the run starts no engine and ends in seconds. It runs all the same: a takedown,
or a snapshot that an earlier run did not come to, is published then. Set `placement.ray_address:
auto` in CONFIG. The exit code is that of `backtrans run`, or of `backtrans plan` where that fails.
"""

import subprocess
import sys

from backtrans.cli import main

if __name__ == "__main__":
    plan = [sys.executable, "-m", "backtrans", "plan", *sys.argv[1:2]]
    planned = subprocess.run(plan, check=False)
    if planned.returncode:
        sys.exit(planned.returncode)
    sys.argv[1:1] = ["run"]
    main()
