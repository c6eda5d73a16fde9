"""Installation by tools/install.py and the build of the kernel."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


@pytest.fixture
def install(monkeypatch, tmp_path):
    """The script as a module, with its logs in a temporary folder."""
    spec = importlib.util.spec_from_file_location("install", ROOT / "tools" / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "LOGS", tmp_path / "logs")
    return module


def names(lines: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in lines}


def test_extras_install_only_their_packages(install):
    app, notebooks, tests = (names(install.requirements(extra)) for extra in ("app", "notebooks", "test"))
    assert {"torch", "bokeh", "panel", "param", "optuna"} <= app < notebooks < tests
    assert {"ipywidgets", "jupyterlab", "jupytext"} <= notebooks - app
    assert {"pytest", "sphinx", "nvidia-cuda-nvrtc", "playwright"} <= tests - notebooks


def test_uv_uses_the_configuration_of_pip(install, monkeypatch):
    for name in install.FROM_PIP.values():
        monkeypatch.delenv(name, raising=False)
    config = ":env:.cert='/a.pem'\nglobal.extra-index-url='https://b/simple https://c/simple'\nglobal.timeout='9'\n"
    assert install.uv_settings(config) == {
        "SSL_CERT_FILE": "/a.pem",
        "UV_INDEX": "https://b/simple https://c/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    monkeypatch.setenv("SSL_CERT_FILE", "/own.pem")
    assert "SSL_CERT_FILE" not in install.uv_settings(config)


def test_a_failed_step_shows_the_end_of_its_output(install):
    with pytest.raises(install.Failed, match=r"(?s)the reason.*packages: failed with exit status 3.*packages\.log"):
        install.run("packages", sys.executable, "-c", "print('the reason'); raise SystemExit(3)")


def test_without_uv_pip_installs(install, monkeypatch, tmp_path):
    monkeypatch.setattr(install.shutil, "which", lambda name, path=None: None)
    commands = []

    def run(step: str, *command: str, **variables: str) -> None:
        commands.append(command)
        if "uv" in command:
            raise install.Failed("no uv here")

    monkeypatch.setattr(install, "run", run)
    environment = install.Environment(tmp_path)
    environment.python = Path(sys.executable)
    environment.install("packages", ["numpy"])
    assert commands[-1][1:] == (*install.PIP, "install", "-c", "constraints.txt", "numpy")


@pytest.mark.parametrize("compiled", [True, False])
def test_a_failed_kernel_build_prints_advice_last(compiled, install, monkeypatch, capsys):
    environment = SimpleNamespace(
        exists=True,
        kernel_is_current=False,
        installer=("uv",),
        install=lambda step, packages: None,
        install_project=lambda: compiled,
    )
    monkeypatch.setattr(install, "Environment", lambda folder: environment)
    assert install.main(".venv", "app") == 0
    printed = capsys.readouterr()
    assert [line.split(" ")[0] for line in printed.out.splitlines() if "..." in line] == ["[1/3]", "[2/3]", "[3/3]"]
    assert ("make native" in printed.err) is not compiled


def test_a_failed_build_keeps_the_previous_kernel(required, tmp_path):
    cmake = shutil.which("cmake") or shutil.which("cmake", path=str(Path(sys.executable).parent))
    nanobind = subprocess.run([sys.executable, "-m", "nanobind", "--cmake_dir"], capture_output=True, text=True)
    required(cmake and nanobind.returncode == 0, "install cmake and nanobind (make does)")
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "workbench" / "solver" / "kernels", tree / "workbench" / "solver" / "kernels")
    shutil.copy(ROOT / "CMakeLists.txt", tree)
    (tree / "workbench" / "solver" / "kernels" / "cpu" / "kernel.cpp").write_text("this is not C++\n")
    old = tree / "workbench" / "solver" / "_native.cpython-311-x86_64-linux-gnu.so"
    old.write_bytes(b"the previous kernel")
    options = ["-DSKBUILD_STATE=editable", "-DSMNN_INSTRUCTION_SETS=baseline"]
    options += [f"-Dnanobind_DIR={nanobind.stdout.strip()}", f"-DPython_EXECUTABLE={sys.executable}"]
    configured = subprocess.run([cmake, "-S", tree, "-B", tmp_path / "build", *options], capture_output=True, text=True)
    assert configured.returncode == 0, configured.stderr
    built = subprocess.run([cmake, "--build", tmp_path / "build", "--target", "baseline_1_2"], capture_output=True)
    assert built.returncode != 0
    assert old.read_bytes() == b"the previous kernel"
