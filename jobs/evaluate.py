r"""Evaluate a model's answers on a Ray cluster: everything that `backtrans evaluate FILE` does.

    ray job submit --entrypoint-num-gpus 1 --working-dir . \
        -- python jobs/evaluate.py examples/evaluate.yaml --json result.json

The engines run in the job's own process, so the job asks for the GPU. The exit code is that of
`backtrans evaluate`.
"""

import sys

from backtrans.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["evaluate"]
    main()
