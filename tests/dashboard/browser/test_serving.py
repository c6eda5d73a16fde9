"""The server: login, killed runs, restart, listening address."""

import json
import re
import signal
from pathlib import Path

import psutil
import pytest

from tests.dashboard.browser.browsing import MILLISECONDS, ROOT, SLOW, Visits, button, expect, served, state
from workbench.training import run_file

pytestmark = pytest.mark.browser

LOGIN = ["--basic-login-template", "workbench/dashboard/login.html", "--cookie-secret", "not for real use"]


def test_access_requires_the_password(browser, tmp_path):
    users = tmp_path / "users.json"
    users.write_text(json.dumps({"ada": "lovelace"}))
    with served(tmp_path, "--basic-auth", str(users), *LOGIN) as (address, _):
        context = browser.new_context()
        visits = Visits(address, context)
        page = context.new_page()
        page.set_default_timeout(MILLISECONDS)
        page.on("request", visits._on_request)
        response = page.goto(f"{address}?page=data")
        assert response.ok
        assert "/login" in page.url
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill("lovelace")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("navigation", name="Pages")).to_be_visible(timeout=MILLISECONDS)
        visits.check()
        context.close()


@pytest.mark.exhaustive
def test_a_killed_run_is_a_message_and_the_server_continues(browser, tmp_path):
    with served(tmp_path, WORKBENCH_RUNNER="process") as (address, server):
        context = browser.new_context()
        visits = Visits(address, context)
        page = visits(f"{SLOW}&steps=100000")
        button(page, "Start").click()
        expect(state(page)).to_have_text("Running", timeout=MILLISECONDS)
        expect(page.locator(".numbers").first).to_contain_text(re.compile("step [1-9]"), timeout=MILLISECONDS)
        worker = [c for c in psutil.Process(server.pid).children() if "spawn_main" in " ".join(c.cmdline())][-1]
        worker.send_signal(signal.SIGKILL)
        expect(page.get_by_role("alert")).to_contain_text("SIGKILL", timeout=MILLISECONDS)
        expect(state(page)).to_have_text("Failed")
        other = visits("experiment=decay")
        button(other, "Start").click()
        expect(state(other)).to_have_text("Finished", timeout=MILLISECONDS)
        visits.check()
        context.close()


@pytest.mark.exhaustive
def test_a_stopped_server_saves_its_runs_and_the_next_can_resume_them(browser, tmp_path):
    context = browser.new_context()
    with served(tmp_path) as (address, _):
        page = Visits(address, context)(f"{SLOW}&steps=100000")
        button(page, "Start").click()
        expect(page.locator(".numbers").first).to_contain_text(re.compile("step [1-9]"), timeout=MILLISECONDS)
        page.close()
    (file,) = (tmp_path / "runs").glob("rossler-*.nc")
    run = run_file.read_run(file)
    assert run.status == "interrupted"
    assert run.steps > 0
    with served(tmp_path) as (address, _):
        visits = Visits(address, context)
        expect(visits().get_by_role("alert")).to_contain_text(
            "interrupted when the server stopped", timeout=MILLISECONDS
        )
        page = visits("page=runs")
        expect(page.get_by_text(file.stem).first).to_be_visible(timeout=MILLISECONDS)
        button(page, "Resume all").click()
        page.get_by_role("link", name=file.stem).click()
        expect(state(page)).to_have_text("Running", timeout=MILLISECONDS)
        button(page, "Stop").click()
        expect(state(page)).to_have_text("Stopped", timeout=MILLISECONDS)
        visits.check()
    assert run_file.read_run(file).steps > run.steps
    context.close()


def test_the_app_is_served_on_the_loopback_address():
    makefile = (ROOT / "Makefile").read_text()
    assert "--address $(ADDRESS)" in makefile
    assert re.search(r"^ADDRESS \?= 127\.0\.0\.1$", makefile, re.MULTILINE)
    assert Path(ROOT / "workbench/dashboard/login.html").exists()
