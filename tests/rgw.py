"""A real S3 server for tests: Ceph's gateway over the least cluster that carries it.

One monitor, one OSD that keeps its objects in memory, one gateway, and one user with keys made for
the occasion; all from a tree that `scripts/fetch_rgw.sh` unpacked, all on 127.0.0.1, and all dead
when the process that started them is, however it ends.

Does not know: pytest, or what is stored.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 120.0
STOP_SECONDS = 10.0

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

_SETTINGS = """
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon_port}/0]
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
# Without both addresses the OSD listens on every interface.
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
ms_bind_ipv6 = false
# The tree is not where the packages would have put it.
plugin_dir = {lib}/ceph
erasure_code_dir = {lib}/ceph/erasure-code
osd_class_dir = {lib}/rados-classes
run_dir = {folder}
crash_dir = {folder}
admin_socket =
pid_file =
log_file = {folder}/$name.log
mon_cluster_log_file = {folder}/cluster.log
# One copy of everything, in as few pieces as there can be.
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
osd_crush_chooseleaf_type = 0

[mon]
# A change of the map waits a second by default, and a start is a chain of them.
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
mon_data = {folder}/mon
mon_data_avail_crit = 0

[osd]
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_class_update_on_start = false
osd_crush_update_on_start = false

[client]
# The gateway's own default is "secure", which needs keys.
ms_mon_client_mode = crc
rgw_data = {folder}
rgw_thread_pool_size = 64
rgw_override_bucket_index_max_shards = 1
rgw_run_sync_thread = false
rgw_enable_gc_threads = false
rgw_enable_lc_threads = false
rgw_enable_quota_threads = false
"""

# What the `ceph` program would send. Two commands do not need its Python, which is Debian's own.
_COMMANDS = """
import ctypes, sys
rados = ctypes.CDLL("librados.so.2")
cluster = ctypes.c_void_p()
assert rados.rados_create(ctypes.byref(cluster), None) == 0
assert rados.rados_conf_read_file(cluster, sys.argv[1].encode()) == 0
assert rados.rados_connect(cluster) == 0
for command in sys.argv[2:]:
    said, said_chars = ctypes.c_char_p(), ctypes.c_size_t()
    status = rados.rados_mon_command(
        cluster, (ctypes.c_char_p * 1)(command.encode()), ctypes.c_size_t(1), None,
        ctypes.c_size_t(0), None, None, ctypes.byref(said), ctypes.byref(said_chars),
    )
    assert status == 0, (command, status, said.value)
"""


class Unstarted(Exception):
    """The cluster did not come up; the message holds what its parts said."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running server, and the keys of its one user."""

    endpoint: str
    access_key: str
    secret_key: str
    pids: tuple[int, ...]
    start_seconds: float


def unpacked() -> Path | None:
    """Return the tree that `make rgw` unpacked, or None."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    tree = Path(cache) / "backtrans/rgw"
    return tree if (tree / ".fetched").is_file() else None


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(tree: Path, folder: Path) -> Iterator[Gateway]:
    """Start a cluster that keeps its files in `folder`, lend its gateway, and stop it in any case.

    Raises: Unstarted, with the ends of all logs.
    """
    cluster = _Cluster(tree, folder)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


class _Cluster:
    """The daemons of one cluster, by their processes."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self._began = time.monotonic()
        self._folder = folder
        self._bin = tree / "usr/bin"
        (library,) = tree.glob("usr/lib/*/librados.so.2")
        lib = library.parent
        paths = (lib, lib / "ceph", tree / "lib" / lib.name)
        self._environment = {
            "PATH": os.environ["PATH"],
            "LD_LIBRARY_PATH": ":".join(map(str, paths)),
        }
        self._settings = folder / "ceph.conf"
        self._fsid = str(uuid.uuid4())
        self._mon_port = free_port()
        self._daemons: list[subprocess.Popen[bytes]] = []
        values = {"fsid": self._fsid, "mon_port": self._mon_port, "lib": lib, "folder": folder}
        self._settings.write_text(_SETTINGS.format(**values))

    def start(self) -> Gateway:
        fsid, monmap = self._fsid, str(self._folder / "monmap")
        address = f"[v2:127.0.0.1:{self._mon_port}/0]"
        self._do("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, monmap)
        self._do("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        self._daemon("ceph-mon", "-i", "a")
        osd = str(uuid.uuid4())
        (self._folder / "osd").mkdir()
        self._do("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", osd)
        self._ask_monitor(
            f'{{"prefix": "osd new", "uuid": "{osd}"}}',
            '{"prefix": "osd crush add", "id": 0, "weight": 1.0, "args": ["root=default"]}',
        )
        self._daemon("ceph-osd", "-i", "0")
        access, secret = secrets.token_hex(10), secrets.token_hex(20)
        keys = ("--access-key", access, "--secret-key", secret)
        # Before the gateway starts: both would make the same pools.
        self._do("radosgw-admin", "user", "create", "--uid", "tester", "--display-name", "t", *keys)
        port = free_port()
        frontends = f"--rgw_frontends=beast endpoint=127.0.0.1:{port}"
        self._daemon("radosgw", "-n", "client.rgw", frontends)
        endpoint = f"http://127.0.0.1:{port}"
        self._wait_for(endpoint)
        pids = tuple(daemon.pid for daemon in self._daemons)
        return Gateway(endpoint, access, secret, pids, time.monotonic() - self._began)

    def stop(self) -> None:
        """End every daemon: asked first, then made to; and remove what they kept."""
        deadline = time.monotonic() + STOP_SECONDS
        for daemon in reversed(self._daemons):  # an OSD that finds no monitor waits for it
            daemon.terminate()
            try:
                daemon.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for kept in ("mon", "osd"):
            shutil.rmtree(self._folder / kept, ignore_errors=True)

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [str(self._bin / program), "-c", str(self._settings), *arguments]

    def _do(self, program: str, *arguments: str) -> None:
        self._run(program, self._command(program, *arguments))

    def _ask_monitor(self, *commands: str) -> None:
        code = [sys.executable, "-c", _COMMANDS, str(self._settings), *commands]
        self._run("a command to the monitor", code)

    def _run(self, name: str, command: list[str]) -> None:
        with (self._folder / f"{Path(command[0]).name}.out").open("wb+") as out:
            running = subprocess.Popen(command, env=self._environment, stdout=out, stderr=out)
            try:
                while (status := running.poll()) is None:
                    self._check(name)
                    time.sleep(0.01)
            finally:
                running.kill()
                running.wait()
        if status:
            raise Unstarted(f"{name} ended with {status}\n{self._logs()}")

    def _daemon(self, program: str, *arguments: str) -> None:
        # The kernel kills it when this process dies without a word; a ^C is for this process alone.
        command = ["setpriv", "--pdeathsig", "KILL", *self._command(program, "-f", *arguments)]
        with (self._folder / f"{program}-daemon.out").open("wb") as out:
            daemon = subprocess.Popen(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._daemons.append(daemon)

    def _wait_for(self, endpoint: str) -> None:
        """Wait until the server answers a request. Raises: Unstarted."""
        while True:
            try:
                _DIRECT.open(endpoint, timeout=5).close()
                return
            except OSError:
                self._check(endpoint)
                time.sleep(0.02)

    def _check(self, waited_for: str) -> None:
        """Raise Unstarted where nothing more can come: a daemon has died, or the time is over."""
        for daemon in self._daemons:
            if daemon.poll() is not None:
                raise Unstarted(f"{daemon.args} ended with {daemon.returncode}\n{self._logs()}")
        if time.monotonic() - self._began > START_SECONDS:
            raise Unstarted(f"{waited_for}: not in {START_SECONDS:g} s\n{self._logs()}")

    def _logs(self) -> str:
        ends = []
        for path in sorted((*self._folder.glob("*.log"), *self._folder.glob("*.out"))):
            ends.append(f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}")
        return "\n".join(ends)
