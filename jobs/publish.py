"""Publish what is committed, and ask no model: everything that `backtrans publish CONFIG` does.

    ray job submit --working-dir . -- python jobs/publish.py examples/cluster-s3.yaml

After a takedown, or when a lake table is new or behind. It needs no GPU and starts no worker. The
exit code is 3 where less than `placement.min_complete` of the corpus is committed.
"""

import sys

from backtrans.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["publish"]
    main()
