"""Install this project into a virtual environment; called by `make`.

    python tools/install.py .venv app          # packages of the page and the command line
    python tools/install.py .venv notebooks    # those of the notebooks as well
    python tools/install.py .venv test         # those of the tests as well
    python tools/install.py .venv kernel       # only the compiled kernel, again

uv installs the packages of an extra of pyproject.toml at the versions of constraints.txt. uv is found on PATH or
installed into the environment by pip; it uses the index, links and certificates that pip is configured for. Without
uv, pip installs the packages. In parallel, an editable install of the project compiles the kernel if one of its
sources is newer than the last build. Uses only the standard library.
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
FROM_PIP = {  # pip option -> environment variable of uv
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}
KERNEL_ADVICE = (
    "The kernel could not be compiled; without it the solver is many times slower. Install a C++ compiler and the "
    "Python headers (Debian: apt-get install g++ python3-dev), then: make native   (messages: {log})"
)


class Failed(Exception):
    """An installation step failed; the message names the step and its log file."""


def requirements(extra: str) -> list[str]:
    """Return the base dependencies and those of one extra of pyproject.toml, with references to extras expanded."""
    project, self_reference = PROJECT["project"], re.compile(rf"{PROJECT['project']['name']}\[(.*)\]")
    packages, queue = list(project["dependencies"]), deque([extra])
    while queue:
        for line in project["optional-dependencies"][queue.popleft()]:
            reference = self_reference.fullmatch(line)
            if reference:
                queue.extend(name.strip() for name in reference[1].split(","))
            else:
                packages.append(line)
    return list(dict.fromkeys(packages))


def build_requirements() -> list[str]:
    """Return the build requirements of pyproject.toml, with cmake and ninja if they are not on PATH."""
    return [*PROJECT["build-system"]["requires"], *(name for name in ("cmake", "ninja") if not shutil.which(name))]


def uv_settings(pip_config: str) -> dict[str, str]:
    """Translate the output of `pip config list` into environment variables of uv."""
    settings = {}
    for line in pip_config.splitlines():
        key, _, value = line.partition("=")
        name = FROM_PIP.get(key.rpartition(".")[2])
        if name and name not in os.environ:
            settings[name] = str(ast.literal_eval(value))
    if "UV_INDEX" in settings:  # like pip, compare the versions on all indexes
        settings.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return settings


def run(step: str, *command: str | Path, **variables: str) -> None:
    """Run a command in the root of the project, with its output in a log file.

    Raises Failed with the end of the output.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{step}.log"
    with log.open("w") as output:
        result = subprocess.run(command, cwd=ROOT, env=os.environ | variables, stdout=output, stderr=subprocess.STDOUT)
    if result.returncode:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise Failed(f"{end}\n{step}: failed with exit status {result.returncode}; full output: {log}")


class Steps:
    """Counter of the steps of an installation."""

    def __init__(self, total: int) -> None:
        self.total, self.started = total, 0

    def __call__(self, text: str) -> "Step":
        self.started += 1
        return Step(f"[{self.started}/{self.total}] {text}")


class Step:
    """One step, which prints its start and its end."""

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
        # stamp files, written after a step is complete
        self._created, self._kernel = folder / ".made", folder / ".kernel"

    @property
    def exists(self) -> bool:
        return self._created.exists()

    def create(self) -> None:
        run("environment", sys.executable, "-m", "venv", "--clear", self.folder)
        self._created.touch()

    @cached_property
    def installer(self) -> tuple[str, ...]:
        """The command that installs packages: uv if available, else pip."""
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
        """Install the project in editable mode. Returns whether its kernel was compiled."""
        start = time.time()
        # with pip: uv installs the packages in parallel and locks the environment against a second uv
        run("kernel", self.python, *PIP, "--verbose", "install", "--no-deps", "--no-build-isolation", "-e", ".")
        built = any(file.stat().st_mtime >= start for file in (ROOT / "workbench/solver").glob("_native*.so"))
        if built:
            self._kernel.touch()
        return built


def main(folder: str, extra: str) -> int:
    """Install the packages of an extra and the kernel; "kernel" installs only the kernel."""
    environment = Environment(ROOT / folder)
    packages = [] if extra == "kernel" else requirements(extra)
    kernel = extra == "kernel" or not environment.kernel_is_current
    step = Steps((not environment.exists) + 1 + bool(packages) + kernel)
    if not environment.exists:
        creation = step(f"Python environment {folder}")
        environment.create()
        creation.end()
    tools = step("installer and build tools")
    environment.install("tools", build_requirements())
    tools.end(Path(environment.installer[0]).name.replace("python", "pip"))
    with ThreadPoolExecutor() as pool:
        if packages:
            installation = step(f"packages of '{extra}'")
            future = pool.submit(environment.install, "packages", packages)
            future.add_done_callback(lambda done: installation.end("FAILED" if done.exception() else "done"))
        if kernel:
            compilation = step("kernel, compiled for this machine")
            compiled = environment.install_project()
            compilation.end("done" if compiled else "FAILED")
    if packages:
        future.result()
    if kernel and not compiled:
        print(KERNEL_ADVICE.format(log=LOGS / "kernel.log"), file=sys.stderr)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except Failed as failure:
        sys.exit(str(failure))
