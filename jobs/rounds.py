"""Go through rounds on a Ray cluster: all that `backtrans run CONFIG --rounds N` does.

    ray job submit --working-dir . -- python jobs/rounds.py examples/cluster-train.yaml --rounds 2

Set `placement.ray_address: auto` in CONFIG, so that the run joins the cluster around the job.
Killed anywhere, the same line goes on where it stopped. The exit code is that of `backtrans run`.
"""

import sys

from backtrans.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["run"]
    main()
