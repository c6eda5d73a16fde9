"""Install this project into an environment, step by step; `make` calls it.

    python tools/install.py .venv app       # what the page, the command line and the notebooks need
    python tools/install.py .venv test      # and what the tests need
    python tools/install.py .venv kernel    # the compiled kernel alone, again

uv installs the packages of an extra of pyproject.toml, at the versions of constraints.txt. It is taken from PATH, or
installed into the environment by pip, and uses the index, links and certificates that pip is configured for. Without
uv, pip installs the packages. At the same time an editable install of the project compiles the kernel, if one of its
sources is newer than the last build. Uses the standard library only.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOGS = ROOT / "build" / "install"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PIP = ("-m", "pip", "--disable-pip-version-check")
FROM_PIP = {  # an option of pip -> the variable that gives uv the same
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}
KERNEL_ADVICE = (
    "The kernel could not be compiled; without it the solver works many times slower. Install a C++ compiler and the "
    "headers of Python (Debian: apt-get install g++ python3-dev), then: make native   (messages: {log})"
)


class Failed(Exception):
    """A step failed; the message says which, and where its output is."""


def requirements(extra: str) -> list[str]:
    """The base dependencies and those of one extra of pyproject.toml; references to other extras are expanded."""
    project, own = PROJECT["project"], re.compile(rf"{PROJECT['project']['name']}\[(.*)\]")
    found, queue = list(project["dependencies"]), deque([extra])
    while queue:
        for line in project["optional-dependencies"][queue.popleft()]:
            reference = own.fullmatch(line)
            if reference:
                queue.extend(name.strip() for name in reference[1].split(","))
            else:
                found.append(line)
    return list(dict.fromkeys(found))


def build_requirements() -> list[str]:
    """The build requirements of pyproject.toml, and of cmake and ninja those that are not on PATH."""
    return [*PROJECT["build-system"]["requires"], *(name for name in ("cmake", "ninja") if not shutil.which(name))]


def uv_settings(pip_config: str) -> dict[str, str]:
    """Environment variables that give uv the configuration of pip, from the output of `pip config list`."""
    found = {}
    for line in pip_config.splitlines():
        key, _, value = line.partition("=")
        name = FROM_PIP.get(key.rpartition(".")[2])
        if name and name not in os.environ:
            found[name] = str(ast.literal_eval(value))
    if "UV_INDEX" in found:  # pip compares what all of its indexes have
        found.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return found


def run(step: str, *command: str | Path, **variables: str) -> None:
    """Run a command in the root of the project with its output in a file; raises Failed with the end of the output."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{step}.log"
    with log.open("w") as output:
        done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, stdout=output, stderr=subprocess.STDOUT)
    if done.returncode:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise Failed(f"{end}\n{step}: failed, with exit status {done.returncode}; all of its output: {log}")


class Steps:
    """Numbers the steps of an installation."""

    def __init__(self, total: int) -> None:
        self.total, self.begun = total, 0

    def __call__(self, text: str) -> "Step":
        self.begun += 1
        return Step(f"[{self.begun}/{self.total}] {text}")


class Step:
    """One step, printed when it begins and when it ends."""

    def __init__(self, text: str) -> None:
        self.text, self.start = text, time.monotonic()
        print(f"{text} ...", flush=True)

    def end(self, result: str = "done") -> None:
        print(f"{self.text}: {result} ({time.monotonic() - self.start:.0f} s)", flush=True)


class Environment:
    """A virtual environment in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        scripts = "Scripts" if os.name == "nt" else "bin"
        self.python = folder / scripts / "python"
        self._made, self._kernel = folder / ".made", folder / ".kernel"  # stamps, written when a step is complete

    @property
    def exists(self) -> bool:
        return self._made.exists()

    def create(self) -> None:
        run("environment", sys.executable, "-m", "venv", "--clear", self.folder)
        self._made.touch()

    @cached_property
    def installer(self) -> tuple[str, ...]:
        """The command that installs packages here: uv if it can be had, else pip."""
        uv = shutil.which("uv", path=os.pathsep.join([str(self.python.parent), os.environ.get("PATH", "")]))
        if not uv:
            try:
                run("uv", self.python, *PIP, "install", "-c", "constraints.txt", "uv")
                uv = str(self.python.parent / "uv")
            except Failed:
                return str(self.python), *PIP, "install"
        return uv, "pip", "install", "--python", str(self.python)

    def install(self, step: str, packages: list[str]) -> None:
        pip_config = subprocess.run([self.python, *PIP, "config", "list"], capture_output=True, text=True).stdout
        run(step, *self.installer, "-c", "constraints.txt", *packages, **uv_settings(pip_config))

    @property
    def kernel_is_current(self) -> bool:
        sources = [
            ROOT / "CMakeLists.txt",
            ROOT / "pyproject.toml",
            *(ROOT / "workbench/solver/kernels").rglob("*.[ch]pp"),
        ]
        newest = max(file.stat().st_mtime for file in sources)
        return self._kernel.exists() and self._kernel.stat().st_mtime >= newest

    def install_project(self) -> bool:
        """Install the project in place. Returns whether its kernel was compiled."""
        began = time.time()
        # by pip: uv, which installs the packages at the same time, locks the environment against a second uv
        run("kernel", self.python, *PIP, "--verbose", "install", "--no-deps", "--no-build-isolation", "-e", ".")
        built = any(file.stat().st_mtime >= began for file in (ROOT / "workbench/solver").glob("_native*.so"))
        if built:
            self._kernel.touch()
        return built


def main(folder: str, wanted: str) -> int:
    """Install the packages of the extra `wanted`, and the kernel; "kernel": the kernel alone."""
    environment = Environment(ROOT / folder)
    packages = [] if wanted == "kernel" else requirements(wanted)
    kernel = wanted == "kernel" or not environment.kernel_is_current
    step = Steps((not environment.exists) + 1 + bool(packages) + kernel)
    if not environment.exists:
        making = step(f"Python environment {folder}")
        environment.create()
        making.end()
    tools = step("installer and build tools")
    environment.install("tools", build_requirements())
    tools.end(Path(environment.installer[0]).name.replace("python", "pip"))
    with ThreadPoolExecutor() as pool:
        if packages:
            installing = step(f"packages of '{wanted}'")
            packages_done = pool.submit(environment.install, "packages", packages)
            packages_done.add_done_callback(lambda done: installing.end("FAILED" if done.exception() else "done"))
        if kernel:
            compiling = step("kernel, compiled for this machine")
            compiled = environment.install_project()
            compiling.end("done" if compiled else "FAILED")
    if packages:
        packages_done.result()
    if kernel and not compiled:
        print(KERNEL_ADVICE.format(log=LOGS / "kernel.log"), file=sys.stderr)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except Failed as failure:
        sys.exit(str(failure))
