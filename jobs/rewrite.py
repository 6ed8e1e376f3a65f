"""Rewrite responses on a Ray cluster: jobs/curate.py by another name, and nothing more.

    ray job submit --working-dir . -- python jobs/rewrite.py examples/cluster-s3.yaml

What makes a run rewrite is `recipe.rewrite: {enabled: true}` in CONFIG, not this file: what is
curated already is then rewritten, and nothing else is done again.
"""

import sys

from backtrans.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["run"]
    main()
