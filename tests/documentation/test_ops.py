"""The samples in ops/ fit BugRelay: its settings, its commands, its timeouts and sizes."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bugrelay.api.support.bodies import MAX_REPORT_BYTES
from bugrelay.cli import main
from bugrelay.embedded.servers import VALKEY_OPTIONS
from bugrelay.server import HEADER_MILLISECONDS
from bugrelay.settings import SETTINGS, load_settings

OPS = Path(__file__).parents[2] / "ops"
UNITS = sorted(OPS.glob("*.service"))
NAMES = {setting.name.upper() for setting in SETTINGS}
SECRETS = {"SECRET_KEY": "0" * 32, "RECAPTCHA_SECRET_KEY": "secret"}  # what the sample leaves to the operator


def sample() -> dict[str, str]:
    lines = (OPS / "bugrelay.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_sample_of_settings_is_one_that_production_starts_with() -> None:
    assert sample().keys() <= NAMES
    assert load_settings({**sample(), **SECRETS}).environment == "production"


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_names_settings_and_commands_that_there_are(unit: Path) -> None:
    text = unit.read_text()
    assert set(re.findall(r"^Environment=([A-Z_]+)=", text, re.MULTILINE)) <= NAMES
    (command,) = re.findall(r"^ExecStart=\S+/bugrelay (\S+)$", text, re.MULTILINE)
    assert command in main.commands


def test_comments_of_the_samples_name_settings_that_there_are() -> None:
    others = ("AF_", "PGADMIN_", "PIP_", "POSTGRES_")
    for path in filter(Path.is_file, OPS.iterdir()):
        named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", path.read_text()))
        assert {name.removesuffix("_FILE") for name in named if not name.startswith(others)} <= NAMES, (
            path.name
        )


def services() -> dict[str, dict[str, Any]]:
    """Of the Compose file, with what its variables are where nobody sets them."""
    text = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", (OPS / "compose.yaml").read_text())
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)["services"]
    return found


def test_containers_start_in_production_with_the_secrets_that_the_script_makes(tmp_path: Path) -> None:
    shutil.copy(OPS / "secrets.sh", tmp_path)
    made = []
    for _ in range(2):  # a second run changes nothing
        subprocess.run(["sh", tmp_path / "secrets.sh"], check=True)
        made.append({file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()})
    assert made[0] == made[1]
    (given,) = {
        tuple(own["environment"].items()) for own in services().values() if own["image"] == "bugrelay"
    }
    mounted = {name: value.replace("/run/secrets/", f"{tmp_path}/secrets/") for name, value in given}
    settings = load_settings(mounted)
    assert settings.environment == "production"
    assert [doubt for doubt in settings.doubts if "UPLOAD_URL" not in doubt] == []
    assert settings.database_url.split(":")[2] == f"{made[0]['database_password'].strip()}@postgres/bugrelay"


def test_containers_are_given_what_they_ask_for() -> None:
    file = yaml.safe_load((OPS / "compose.yaml").read_text())
    for name, own in services().items():
        if own["image"] == "bugrelay":
            assert own["command"][0] in main.commands, name
        environment = own.get("environment", {}).values()
        mounted = {value.removeprefix("/run/secrets/") for value in environment if "/run/secrets/" in value}
        assert mounted == set(own.get("secrets", [])) <= file["secrets"].keys(), name
    command = services()["valkey"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options.pop("--protected-mode") == "no"
    assert options.items() <= {f"--{name}": value for name, value in VALKEY_OPTIONS.items()}.items()


def test_containers_believe_no_proxy_but_their_own() -> None:
    file = yaml.safe_load((OPS / "compose.yaml").read_text())
    own = services()
    (address,) = ipaddress.ip_network(own["server-1"]["environment"]["TRUSTED_PROXIES"])
    assert str(address) == own["caddy"]["networks"]["front"]["ipv4_address"]
    (pool,) = file["networks"]["front"]["ipam"]["config"]
    assert address in ipaddress.ip_network(pool["subnet"])
    assert address not in ipaddress.ip_network(pool["ip_range"])


def test_the_image_has_no_databases_and_no_root() -> None:
    text = (OPS / "Containerfile").read_text()
    ignored = (OPS.parent / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert {line for line in ignored if "lock" in line} == {
        "!requirements/build.lock",
        "!requirements/runtime.lock",
    }
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["10001:10001"]
    assert set(re.findall(r"--requirement (\S+)", text)) == {line[1:] for line in ignored if "lock" in line}
    assert text.count("--require-hashes") == text.count("--requirement ")
    (command,) = re.findall(r'HEALTHCHECK .* CMD \["bugrelay", "(\w+)"\]$', text, re.MULTILINE)
    assert command in main.commands


@pytest.mark.parametrize(
    ("file", "body", "idle"),
    [
        ("nginx.conf", r"client_max_body_size (\d+)m", r"keepalive_timeout (\d+)s;  # BugRelay"),
        ("Caddyfile", r"max_size (\d+)MiB", r"keepalive (\d+)s"),
    ],
)
def test_a_proxy_lets_the_largest_picture_through_and_leaves_first(file: str, body: str, idle: str) -> None:
    """A connection that both close at once would cost a request: the proxy must be the one that closes."""
    text = (OPS / file).read_text()
    (megabytes,) = re.findall(body, text)
    settings = load_settings({})
    in_base64 = settings.max_screenshot_size_mb * 4 / 3
    assert int(megabytes) > max(settings.max_upload_mb, in_base64 + MAX_REPORT_BYTES / 1024**2)
    (seconds,) = re.findall(idle, text)
    assert int(seconds) * 1000 < HEADER_MILLISECONDS


@pytest.mark.parametrize(
    "address",
    [
        "/api/v1/receipts/SECRET",
        "/api/v1/receipts/SECRET/withdraw",
        "/unsubscribe/SECRET",
        "/contact/confirm?token=SECRET",
        "/invitations/accept?token=SECRET",
        "/api/v1/auth/verify-email?token=SECRET",
        "/account/reset-password?token=SECRET",
        "/uploads/tickets/0199?company=0198&expires=1&signature=SECRET",
        "/uploads/incoming/0199?company=0198&expires=1&signature=SECRET",
        "/uploads/support/0199?company=0198&expires=1&signature=SECRET",
    ],
)
def test_no_proxy_logs_a_link_that_opens_something(address: str) -> None:
    """Neither requests nor errors: while BugRelay does not answer, a log of errors repeats the request."""
    nginx, caddy = (OPS / "nginx.conf").read_text(), (OPS / "Caddyfile").read_text()
    ((pattern, content),) = re.findall(r"location ~ (\S+) \{([^}]*)\}", nginx)
    assert re.search(pattern, address.partition("?")[0])
    assert {"access_log off;", "error_log /dev/null crit;"} <= set(map(str.strip, content.splitlines()))
    assert nginx.index("access_log off;") < nginx.index("return 308")
    ((pattern, replacement),) = re.findall(r'request>uri regexp "(\S+)" "(\S+)"', caddy)
    assert "SECRET" not in re.sub(pattern, replacement, address)
