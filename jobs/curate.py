"""Curate a corpus on a Ray cluster: everything that `backtrans run CONFIG` does.

    ray job submit --working-dir . -- python jobs/curate.py examples/cluster-s3.yaml

Set `placement.ray_address: auto` in CONFIG, so that the run joins the cluster around the job. The
exit code is that of `backtrans run`.
"""

import sys

from backtrans.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["run"]
    main()
