"""Start the test bed, run pytest in it, end it.

    tests/cluster/enter python -m tests.cluster [pytest's arguments…]
    tests/cluster/enter python -m tests.cluster exec COMMAND…     (any command, such as bash, with the bed around it)

Exits as pytest does. When a test has failed, the logs of all programs are kept in .cache/e2e.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.cluster.bed import ENVIRONMENT, Bed, describe
from tests.cluster.control_plane import ADDRESS, HERE, ControlPlane, definitions
from tests.cluster.process import CommandError
from tests.cluster.supervisor import StartError, Supervisor

ROOT = HERE.parents[1]
_WORKERS = "4"
_CANNOT = 3
_KEPT = ("logs", "kubelet")
_OF_PODS = shutil.ignore_patterns("claims", "*.volumes", "*.root")
_RUNS_KEPT = 5


def say(sentence: str) -> None:
    sys.stderr.write(f"e2e: {sentence}\n")
    sys.stderr.flush()


def programs() -> dict[str, Path]:
    """All that are built. `build` prints their names and paths, and builds none that is there."""
    done = subprocess.run([HERE / "programs" / "build"], check=False, stdout=subprocess.PIPE, text=True)
    found = {name: Path(path) for name, path in (line.split(" ", 1) for line in done.stdout.splitlines())}
    defined = all(definitions(found, each).exists() for each in ("argo-rollouts", "argocd", "flagger", "prometheus"))
    if done.returncode != 0 or not defined:
        raise StartError("programs are missing, and there is no network in here to fetch them: scripts/setup cluster")
    return found


def entered() -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((ADDRESS, 0))
        except OSError:
            return False
    return True


def command(arguments: list[str]) -> list[str]:
    if arguments[:1] == ["exec"]:
        return arguments[1:]
    named = any(Path(one.split("::")[0]).exists() for one in arguments if not one.startswith("-"))
    paths = [] if named else ["tests/cluster"]
    return [sys.executable, "-m", "pytest", "-n", _WORKERS, *arguments, *paths]


def keep(folder: Path) -> Path:
    """Copy the logs into the tree; those of the oldest runs go."""
    runs = ROOT / ".cache" / "e2e"
    kept = runs / time.strftime("%Y-%m-%dT%H-%M-%S")
    for name in _KEPT:
        if (folder / name).exists():
            shutil.copytree(folder / name, kept / name, symlinks=True, dirs_exist_ok=True, ignore=_OF_PODS)
    for old in sorted(runs.iterdir())[:-_RUNS_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return kept


def run(folder: Path, arguments: list[str]) -> int:
    began = time.monotonic()
    plane = ControlPlane(folder, programs())
    with Supervisor(plane.all(), folder).running():
        kubeconfig = describe(folder, plane)
        say(f"the bed is ready after {time.monotonic() - began:.1f} s, in {folder}")
        environment = {**os.environ, ENVIRONMENT: str(folder), "KUBECONFIG": str(kubeconfig)}
        if arguments[:1] == ["exec"]:
            environment["PATH"] = f"{Bed.attach(folder).tools(helm=3)}:{environment['PATH']}"
        with subprocess.Popen(command(arguments), env=environment, cwd=ROOT) as child:
            try:
                return child.wait()
            except KeyboardInterrupt:  # the terminal has told pytest as well, which tidies up
                child.wait()
                raise
            except SystemExit:
                child.send_signal(signal.SIGINT)
                child.wait()
                raise


def main() -> int:
    if not entered():
        say("this runs inside tests/cluster/enter (make e2e)")
        return _CANNOT
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    folder, code = Path(tempfile.mkdtemp(prefix="canary-bed-")), 1
    try:
        code = run(folder, sys.argv[1:])
    except (StartError, CommandError, subprocess.CalledProcessError) as error:
        say(str(error))
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    finally:
        if code and sys.argv[1:2] != ["exec"]:
            say(f"the programs' logs are in {keep(folder)}")
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
