"""Files for clusters and schedules: their schemas, what they run, what must not be in them."""

import ast
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from backtrans.cli import app
from backtrans.submitting import JOBS, check

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
LOCK = (ROOT / "requirements/lock.txt").read_text()
CLUSTER = yaml.safe_load((ROOT / "cluster.yaml").read_text())
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".pyc")
RUNNING = [
    *FILES,
    ROOT / "cluster.yaml",
    ROOT / "README.md",
    ROOT / "docs/operate.md",
    *sorted((ROOT / "jobs").glob("*.py")),
]
MANIFESTS = sorted((DEPLOY / "kuberay").glob("*.yaml"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# ------------------------------------------------------------------------------------ what is run


def options(command: str) -> set[str] | None:
    """Return the options of a command of ours; None where there is no such command."""
    group: Any = typer.main.get_command(app)
    if command not in group.commands:
        return None
    return {
        flag
        for each in group.commands[command].params
        for flag in (*each.opts, *each.secondary_opts)
    }


def wrong_in(text: str) -> list[str]:
    """Return what a text would run that is not there: files of jobs/, commands, their options."""
    wrong = [
        found
        for found in re.findall(r"python (?:/app/)?(\w+/\w+\.py)", text)
        if not (ROOT / found).is_file()
    ]
    # A line that is broken for the eye, in a shell or in Python, is one line.
    joined = re.sub(r"\\\n\s*|\"\n\s+\"", " ", text)
    for command, rest in re.findall(
        r"backtrans ([a-z]+)((?: [^\s`\"#&|]+\.yaml)[^\n`\"#&|]*)", joined
    ):
        known = options(command)
        if known is None:
            wrong.append(command)
            continue
        said = shlex.split(rest.split(" -- ")[0])
        wrong += [f"{command} {flag}" for flag in said if flag[:2] == "--" and flag not in known]
        job = said[said.index("--job") + 1] if "--job" in said else "curate"
        wrong += [f"--job {job}"] * (job not in JOBS)
    return wrong


@pytest.mark.parametrize("path", RUNNING, ids=name_of)
def test_what_a_file_runs_is_there(path: Path) -> None:
    assert wrong_in(path.read_text()) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("python jobs/cure.py run.yaml", ["jobs/cure.py"]),
        ("python /app/jobs/curate.py /etc/run.yaml", []),
        ("`backtrans submit run.yaml --adress x`", ["submit --adress"]),
        ("backtrans heal run.yaml", ["heal"]),
        ("backtrans submit run.yaml --job cure", ["--job cure"]),
        ('"backtrans submit run.yaml"\n    " --jobs x"', ["submit --jobs"]),
        ("backtrans submit run.yaml --job rounds -- --rounds 2", []),
        ("backtrans run run.yaml \\\n  --round 2", ["run --round"]),
    ],
)
def test_the_check_sees_what_is_not_there(text: str, wrong: list[str]) -> None:
    assert wrong_in(text) == wrong


def test_every_entry_point_is_thin_and_says_its_line() -> None:
    for path in sorted((ROOT / "jobs").glob("[a-z]*.py")):
        text = path.read_text()
        assert len(text.splitlines()) <= 40
        said = ast.get_docstring(ast.parse(text)) or ""
        assert re.search(
            rf"ray job submit [^\n]*(\\\n *)?.*-- python jobs/{path.name} \S+\.yaml", said
        )


def test_every_file_is_in_the_table_of_the_folder() -> None:
    table = (DEPLOY / "README.md").read_text()
    for path in FILES:
        name = path.relative_to(DEPLOY).as_posix()
        assert name in {"README.md", "Dockerfile.dockerignore"} or f"({name})" in table, name


# ------------------------------------------------------------------------- what must not be there

SECRET = re.compile(
    r"AKIA[0-9A-Z]{16}|-----BEGIN|aws_secret|AWS_SECRET|AWS_ACCESS_KEY|\bpassword:|RAY_AUTH_TOKEN=",
    re.IGNORECASE,
)


@pytest.mark.parametrize("path", [*FILES, ROOT / "cluster.yaml"], ids=name_of)
def test_no_file_holds_a_secret(path: Path) -> None:
    assert SECRET.search(path.read_text()) is None


def images(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        for key, value in found.items():
            if key == "image" and isinstance(value, str):
                yield value
            yield from images(value)
    elif isinstance(found, list):
        for each in found:
            yield from images(each)


def test_every_image_is_one_version() -> None:
    found = [CLUSTER["docker"]["image"]]
    for path in MANIFESTS:
        found += images(list(yaml.safe_load_all(path.read_text())))
    bases = re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    found += [base for base in bases if ":" in base]
    assert len(found) >= 8
    assert [image for image in found if not re.search(r":v?\d+\.\d+\.\d+[\w.-]*$", image)] == []
    ours = {image.rsplit(":")[-1] for image in found if "/backtrans:" in image}
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert ours == {f"{version[1]}-gpu"}


# ---------------------------------------------------------------------------------- cluster.yaml


def test_ray_takes_the_cluster_as_it_stands() -> None:
    code = (
        "import yaml\n"
        "from ray.autoscaler._private.util import prepare_config, validate_config\n"
        "config = yaml.safe_load(open('cluster.yaml'))\n"
        "validate_config(config)\n"
        "validate_config(prepare_config(config))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


WORKERS = {k: v for k, v in CLUSTER["available_node_types"].items() if k != "head"}


def test_a_cluster_without_work_has_no_workers() -> None:
    assert {kind["min_workers"] for kind in WORKERS.values()} == {0}
    assert CLUSTER["idle_timeout_minutes"] <= 15
    assert CLUSTER["provider"]["cache_stopped_nodes"] is False
    assert sum(kind["max_workers"] for kind in WORKERS.values()) <= CLUSTER["max_workers"]


def test_where_there_is_no_spot_machine_the_same_is_taken_on_demand() -> None:
    spot, fallback = WORKERS["engines-spot"], WORKERS["engines-on-demand"]
    assert spot["priority"] > fallback["priority"]
    node = dict(spot["node_config"])
    assert node.pop("InstanceMarketOptions") == {"MarketType": "spot"}
    assert node == fallback["node_config"]


@pytest.mark.parametrize("kind", CLUSTER["available_node_types"])
def test_a_machine_has_a_role_a_closed_group_and_no_key(kind: str) -> None:
    node = CLUSTER["available_node_types"][kind]["node_config"]
    assert node["IamInstanceProfile"]["Arn"].startswith("arn:aws:iam::")
    # Without a group of one's own, Ray makes one that admits SSH from anywhere.
    assert node["SecurityGroupIds"]
    assert node["MetadataOptions"]["HttpTokens"] == "required"
    assert all(disk["Ebs"]["Encrypted"] for disk in node["BlockDeviceMappings"])


def test_the_cluster_asks_for_a_token_and_listens_to_nobody_else() -> None:
    assert list(CLUSTER["file_mounts"].values()) == ["~/.ray/auth_token"]
    starts = [*CLUSTER["head_start_ray_commands"], *CLUSTER["worker_start_ray_commands"]]
    starting = [command for command in starts if "ray start" in command]
    assert len(starting) == 2
    assert all("RAY_AUTH_MODE=token ray start" in command for command in starting)
    assert "--dashboard-host=127.0.0.1" in starting[0]


@pytest.mark.parametrize("commands", [k for k in CLUSTER if k.endswith("_commands")])
def test_nothing_is_installed_when_a_machine_starts(commands: str) -> None:
    assert not re.search(r"\b(pip|apt|apt-get|conda|uv)\b", "\n".join(CLUSTER[commands]))


def test_a_container_sees_the_gpus_of_its_machine() -> None:
    """NVIDIA's runtime shows what a variable names; only images of NVIDIA's have it set."""
    options = CLUSTER["docker"]["run_options"]
    assert {"--env NVIDIA_VISIBLE_DEVICES=all"} <= set(options)
    assert "FROM nvidia/" not in (DEPLOY / "Dockerfile").read_text()


def test_the_options_of_ray_start_are_rays() -> None:
    ray = importlib.util.find_spec("ray")
    assert ray is not None
    assert ray.origin is not None
    known = (Path(ray.origin).parent / "scripts/scripts.py").read_text()  # faster than its --help
    text = "\n".join([*CLUSTER["head_start_ray_commands"], *CLUSTER["worker_start_ray_commands"]])
    said = re.findall(r"--[a-z-]+", text)
    assert [option for option in said if f'"{option}"' not in known] == []


# --------------------------------------------------------------------------------------- KubeRay

POD = {
    "serviceAccountName", "automountServiceAccountToken", "securityContext", "containers",
    "volumes", "tolerations", "restartPolicy", "terminationGracePeriodSeconds",
}  # fmt: skip
CLUSTER_SPEC = {
    "rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec",
    "workerGroupSpecs",
}  # fmt: skip
GROUP = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
JOB_SPEC = {
    "entrypoint", "submissionMode", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished",
    "activeDeadlineSeconds", "backoffLimit", "submitterPodTemplate", "rayClusterSpec",
}  # fmt: skip
"""Source: the names that the CRDs of KubeRay 1.7.0 have, of those that are used here."""

DOCUMENTS = {
    (found["kind"], found.get("metadata", {}).get("name", path.stem)): found
    for path in MANIFESTS
    for found in yaml.safe_load_all(path.read_text())
    if "kind" in found
}
KINDS = {
    "Namespace": "v1",
    "ServiceAccount": "v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "CronJob": "batch/v1",
    "RayCluster": "ray.io/v1",
    "RayJob": "ray.io/v1",
    "Kustomization": "kustomize.config.k8s.io/v1beta1",
}
JOB = DOCUMENTS["RayJob", "rayjob"]["spec"]
STAYING = DOCUMENTS["RayCluster", "backtrans"]["spec"]
CRON = DOCUMENTS["CronJob", "backtrans-refresh"]["spec"]


def test_every_kind_is_of_its_group_and_version() -> None:
    assert {found["kind"]: found["apiVersion"] for found in DOCUMENTS.values()} == KINDS


def test_the_two_clusters_are_one_and_ask_for_a_token() -> None:
    assert JOB["rayClusterSpec"] == STAYING
    assert STAYING["authOptions"] == {"mode": "token"}
    installed = re.search(
        r"^ray==(\S+)", (ROOT / "requirements/lock.txt").read_text(), re.MULTILINE
    )
    assert installed is not None
    assert STAYING["rayVersion"] == installed[1]


def test_fields_are_those_of_kuberay() -> None:
    assert set(STAYING) <= CLUSTER_SPEC
    assert set(JOB) <= JOB_SPEC
    for group in [STAYING["headGroupSpec"], *STAYING["workerGroupSpecs"]]:
        assert set(group) <= GROUP
        assert set(group["template"]["spec"]) <= POD
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_workers_come_with_work_and_go_without() -> None:
    assert STAYING["enableInTreeAutoscaling"] is True
    for group in STAYING["workerGroupSpecs"]:
        assert (group["replicas"], group["minReplicas"]) == (0, 0)
        assert group["maxReplicas"] > 0
    assert JOB["shutdownAfterJobFinishes"] is True


def test_engines_have_as_many_gpus_as_the_configuration_takes() -> None:
    run = yaml.safe_load((DEPLOY / "kuberay/run.yaml").read_text())
    engines = {group["groupName"]: group for group in STAYING["workerGroupSpecs"]}["engines"]
    limits = engines["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert int(limits["nvidia.com/gpu"]) == run["placement"]["engine"]["tensor_parallel"]


def pods() -> Iterator[dict[str, Any]]:
    for group in [STAYING["headGroupSpec"], *STAYING["workerGroupSpecs"]]:
        yield group["template"]["spec"]
    yield JOB["submitterPodTemplate"]["spec"]
    yield CRON["jobTemplate"]["spec"]["template"]["spec"]


def test_every_container_is_restricted_and_says_what_it_takes() -> None:
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert set(container["resources"]["requests"]) >= {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
            assert "env" not in container  # the token comes from KubeRay's secret, keys from a role
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounted <= {volume["name"] for volume in pod.get("volumes", [])}


def test_a_scheduled_refresh_waits_for_the_one_before() -> None:
    assert CRON["concurrencyPolicy"] == "Forbid"
    assert re.fullmatch(r"(\S+ ){4}\S+", CRON["schedule"])
    # It ends after the job that it waits for, or it would say that a job failed which goes on.
    assert CRON["jobTemplate"]["spec"]["activeDeadlineSeconds"] > JOB["activeDeadlineSeconds"]
    rule = DOCUMENTS["Role", "backtrans-refresh"]["rules"]
    assert rule == [{"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create", "get"]}]


def test_the_shell_of_the_scheduled_refresh_is_one() -> None:
    (container,) = CRON["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["sh", "-ec"]
    subprocess.run(["sh", "-n", "-c", container["args"][0]], check=True)


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["Running", "Complete"], 0),
        (["", "Failed"], 1),
        (["Running", *["-"] * 39, "Running", *["-"] * 39, "Complete"], 0),  # - is no answer
        (["Running", *["-"] * 40, "Complete"], 1),
    ],
    ids=["completes", "fails", "the server is away", "the job is gone"],
)
def test_the_scheduled_refresh_ends_when_its_job_does_and_not_when_a_server_is_away(
    tmp_path: Path, states: list[str], code: int
) -> None:
    (container,) = CRON["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    (tmp_path / "states").write_text("\n".join(states) + "\n")
    kubectl = """#!/bin/sh
[ "$1" = create ] && echo rayjob.ray.io/backtrans-refresh-x && exit
state=$(head -n 1 states); sed -i 1d states
[ "$state" = - ] && exit 1
printf %s "$state"
"""
    for name, does in (("kubectl", kubectl), ("sleep", "#!/bin/sh\n")):
        (tmp_path / name).write_text(does)
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-ec", container["args"][0]],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        timeout=60,
        stdout=subprocess.DEVNULL,
    )
    assert done.returncode == code


def test_pods_of_a_cluster_have_two_minutes_to_end() -> None:
    groups = [STAYING["headGroupSpec"], *STAYING["workerGroupSpecs"]]
    given = {group["template"]["spec"]["terminationGracePeriodSeconds"] for group in groups}
    assert given == {120}


def test_what_is_mounted_is_made_of_files_that_are_there() -> None:
    made = DOCUMENTS["Kustomization", "kustomization"]
    maps = {each["name"]: each["files"] for each in made["configMapGenerator"]}
    for file in [*made["resources"], *chain(*maps.values())]:
        assert (DEPLOY / "kuberay" / file).is_file()
    named = {
        volume["configMap"]["name"]
        for pod in pods()
        for volume in pod.get("volumes", [])
        if "configMap" in volume
    }
    assert named == set(maps)
    assert JOB["entrypoint"].endswith("/etc/backtrans/run.yaml")


def test_the_configuration_of_the_cluster_can_run_there() -> None:
    check(DEPLOY / "kuberay/run.yaml")


# ----------------------------------------------------------------------------- image and schedules


def test_the_image_is_made_of_files_that_are_there_and_is_not_roots() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    sent = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        each for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for each in line.split()
    }
    assert copied == sent
    assert all((ROOT / each).exists() for each in copied)
    for stage in text.split("\nFROM ")[2:]:
        assert "\nUSER 1000:1000\n" in stage
    assert "ENTRYPOINT" not in text  # Ray's launcher starts the image with a shell
    assert "RAY_AUTH_MODE=token" in text


def test_rays_job_server_has_all_that_it_needs_of_the_lock() -> None:
    from importlib.metadata import requires

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    there = {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", LOCK, re.MULTILINE)}
    needed = [Requirement(each) for each in requires("ray") or ()]
    wanted = [each for each in needed if each.marker and each.marker.evaluate({"extra": "default"})]
    assert len(wanted) > 10
    assert [each.name for each in wanted if canonicalize_name(each.name) not in there] == []


BUDGET_SPENT = 4
"""The exit code of a run that its budget stopped; tried again at once, it would spend as much."""


def test_the_airflow_schedule_is_python_and_names_each_submission_by_its_time() -> None:
    tree = ast.parse((DEPLOY / "airflow/backtrans_refresh.py").read_text())
    said = {node.arg: node.value for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    assert ast.literal_eval(said["max_active_runs"]) == 1
    assert ast.literal_eval(said["catchup"]) is False
    # The time of a run that a person starts: in Airflow 3 such a one may have no logical date.
    named = "--submission-id backtrans-refresh-{{ dag_run.run_after | ts_nodash }}"
    assert named in ast.literal_eval(said["bash_command"])
    assert BUDGET_SPENT in ast.literal_eval(said["skip_on_exit_code"])
    assert ast.literal_eval(said["env"])["RAY_AUTH_MODE"] == "token"


def unit(name: str) -> ConfigParser:
    # Keys may come twice, as Environment= does; the last one is kept, which is enough here.
    read = ConfigParser(strict=False, interpolation=None, delimiters="=", comment_prefixes="#")
    read.optionxform = str  # type: ignore[assignment, method-assign]
    read.read(DEPLOY / "systemd" / name)
    return read


def test_the_systemd_service_is_no_roots_and_stops_where_a_retry_is_in_vain() -> None:
    service = unit("backtrans-refresh.service")["Service"]
    assert service["User"] == "backtrans"
    assert service["Type"] == "oneshot"
    assert service["RestartPreventExitStatus"].split() == ["2", str(BUDGET_SPENT)]
    assert service["LoadCredential"].startswith("auth_token:/")


def test_the_systemd_timer_catches_up() -> None:
    timer = unit("backtrans-refresh.timer")
    assert timer["Timer"]["Persistent"] == "true"
    assert timer["Install"]["WantedBy"] == "timers.target"
