"""Train the models of a configuration on a Ray cluster: all that `backtrans train CONFIG` does.

    ray job submit --working-dir . -- python jobs/train.py examples/cluster-train.yaml

Set `placement.ray_address: auto` in CONFIG, so that the training joins the cluster around the job,
and `placement.training.workers` to the GPUs that it may take. `jobs/curate.py` trains what is
missing, too. The exit code is that of `backtrans train`.
"""

import sys

from backtrans.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["train"]
    main()
