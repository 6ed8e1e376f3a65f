"""A refresh each night, by Airflow 3: one submission a scheduled time, joined by its retries.

The workers have the package, the configuration and the cluster's token, in files. A retry of what
is still under way follows it again; a retry of what failed runs it again, and does what is left.
What a budget stopped (4) is skipped, not retried: each try may spend the budget anew.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    "backtrans_refresh",
    schedule="30 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["backtrans"],
):
    BashOperator(
        task_id="refresh",
        bash_command=(
            "backtrans submit /etc/backtrans/run.yaml --address https://ray.example.com"
            " --job refresh"
            " --submission-id backtrans-refresh-{{ dag_run.run_after | ts_nodash }}"
        ),
        env={"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/etc/backtrans/auth_token"},
        append_env=True,
        skip_on_exit_code=[4],
        retries=2,
        retry_delay=timedelta(minutes=10),
        execution_timeout=timedelta(hours=24),
    )
