"""The samples in ops/ fit BugRelay: its settings, its commands, its timeouts and sizes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bugrelay.cli import main
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
    for path in OPS.iterdir():
        named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", path.read_text()))
        assert named - {"AF_INET", "AF_UNIX"} <= NAMES, path.name


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
    assert int(megabytes) > load_settings({}).max_upload_mb
    (seconds,) = re.findall(idle, text)
    assert int(seconds) * 1000 < HEADER_MILLISECONDS


@pytest.mark.parametrize(
    "address",
    [
        "/api/v1/receipts/SECRET",
        "/api/v1/receipts/SECRET/withdraw",
        "/unsubscribe/SECRET",
        "/contact/confirm?token=SECRET",
        "/api/v1/auth/verify-email?token=SECRET",
        "/account/reset-password?token=SECRET",
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
