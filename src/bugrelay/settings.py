"""All settings, in one frozen dataclass: read once from the environment and `.env`, and validated at startup.

`SETTINGS` below is the only list of names; a test compares `docs/settings.md` with it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from dotenv import dotenv_values

MIN_POOL_SIZE = 3  # one route may use two of them, the third stays free for the others

GITHUB_REPOSITORY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38})/(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,100}")

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingError(Exception):
    """An invalid setting; the text is one line that names it."""


@dataclass(frozen=True)
class Rate:
    """At most `limit` calls in any window of `window_seconds`."""

    limit: int
    window_seconds: int

    def __str__(self) -> str:
        unit = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}[self.window_seconds]
        return f"{self.limit}/{unit}"


def _rate(text: str) -> Rate | None:
    if text.strip().lower() == "off":
        return None
    match = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(second|minute|hour|day)\s*", text.lower())
    if match is None or int(match[1]) == 0:
        raise ValueError("must be N/second, N/minute, N/hour, N/day or off")
    return Rate(int(match[1]), {"second": 1, "minute": 60, "hour": 3600, "day": 86400}[match[2]])


def _hourly_rate(text: str) -> Rate | None:
    """As `_rate`; a number without a unit is per hour."""
    return _rate(f"{text}/hour" if re.fullmatch(r"\s*\d{1,6}\s*", text) else text)


def _positive(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text) or int(text) == 0:
        raise ValueError("must be a whole number from 1 up")
    return int(text)


def _port(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text) or not 1 <= int(text) <= 65535:  # noqa: PLR2004 - the largest TCP port
        raise ValueError("must be a port number")
    return int(text)


def _seconds(text: str) -> int:
    if not re.fullmatch(r"\d{1,4}", text):
        raise ValueError("must be a whole number of seconds from 0 up")
    return int(text)


def _days(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text) or int(text) == 0:
        raise ValueError("must be a whole number of days from 1 to 99999")
    return int(text)


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError("must be a number from 0 to 1")
    return value


def _flag(text: str) -> bool:
    known = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in known:
        raise ValueError("must be true or false")
    return known[text.lower()]


def _one_of(*options: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in options:
            raise ValueError(f"must be one of {', '.join(options)}")
        return text

    return parse


def _items(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _keys(text: str) -> tuple[str, ...]:
    keys = _items(text)
    if any(len(key) < 32 for key in keys):  # noqa: PLR2004 - as SECRET_KEY
        raise ValueError("must have keys of at least 32 characters")
    return keys


def _networks(text: str) -> tuple[IPNetwork, ...]:
    return tuple(ipaddress.ip_network(item, strict=False) for item in _items(text))


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text and urlsplit(text).scheme not in schemes:
            raise ValueError(f"must be a URL that starts with {' or '.join(s + '://' for s in schemes)}")
        return text

    return parse


@dataclass(frozen=True, kw_only=True)
class OidcIssuer:
    """An OpenID Connect issuer, and us as its client.

    Attributes:
        name: In addresses and in `/api/v1/config`.
        issuer: Its identifier, exactly as its discovery document and its tokens say it.
        client_id: Ours.
        client_secret: Ours; empty for a public client.
        trust_email: Whether its word that an address is verified counts.
    """

    name: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    trust_email: bool = True


_RESERVED_PROVIDERS = {"github", "google", "password", "callback", "exchange", "link"}


def _issuers(text: str) -> tuple[OidcIssuer, ...]:
    found = tuple(_issuer(item) for item in _items(text))
    if len({issuer.name for issuer in found}) != len(found):
        raise ValueError("must name each provider once")
    return found


def _issuer(text: str) -> OidcIssuer:
    """`name=https://client_id:client_secret@host/path`, and `?trust_email=false`."""
    name, _, address = text.partition("=")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", name) or name in _RESERVED_PROVIDERS:
        raise ValueError("must be a list of name=https://client_id:client_secret@host/path")
    try:
        return _oidc_issuer(name, address)
    except ValueError as error:  # of urlsplit, whose sentences may quote the secret
        wanted = (
            "https://client_id:client_secret@host/path?trust_email=false, http for loopback addresses only"
        )
        raise ValueError(f"must give {name} as {wanted}") from error


def _oidc_issuer(name: str, address: str) -> OidcIssuer:
    parts = urlsplit(address)
    options = dict(parse_qsl(parts.query))
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))
    if not is_safe or not parts.hostname or not parts.username or parts.fragment or parts.port == 0:
        raise ValueError("invalid address")
    if options.keys() - {"trust_email"}:
        raise ValueError("unknown option")
    return OidcIssuer(
        name=name,
        issuer=urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")),
        client_id=unquote(parts.username),
        client_secret=unquote(parts.password or ""),
        trust_email=_flag(options.get("trust_email", "true")),
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _api_address(text: str) -> str:
    """Tokens go there: never in clear over a network."""
    parts = urlsplit(text)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))
    if not is_safe or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("must be an https URL without user name and query, http for loopback addresses only")
    return text.rstrip("/")


def _repository(text: str) -> str:
    if text and not GITHUB_REPOSITORY.fullmatch(text):
        raise ValueError("must be owner/name")
    return text


def _setting(default: str, parse: Callable[[str], Any], doc: str) -> Any:
    """A field with its default as text, its parser and its description in the docs."""
    return field(default=parse(default), metadata={"default": default, "parse": parse, "doc": doc})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings, by subject. The environment variable of a field is its name in capitals."""

    # The site
    site_name: str = _setting("BugRelay", str, "Name of the board, in mails and pages.")
    environment: Literal["development", "production"] = _setting(
        "development",
        _one_of("development", "production"),
        "`production` refuses to start without SECRET_KEY, DATABASE_URL, REDIS_URL, PUBLIC_URL, MAIL_URL,"
        " and a captcha secret or CAPTCHA=off.",
    )
    host: str = _setting("127.0.0.1", str, "Address to listen on.")
    port: int = _setting("8000", _port, "Port to listen on.")
    workers: int = _setting("1", _positive, "How many server processes share the port.")
    drain_seconds: int = _setting(
        "1", _seconds, "How long a server keeps serving after SIGTERM, while `/ready` answers 503."
    )
    public_url: str = _setting(
        "", _url("http", "https"), "What links in mails start with; empty: `http://HOST:PORT`."
    )
    bugrelay_home: Path = _setting(
        "./var", Path, "Embedded PostgreSQL and Redis data, uploads, spooled mail, the development secret."
    )
    secret_key: str = _setting(
        "", str, "Signs tokens, 32 characters or more; empty: generated once and stored in BUGRELAY_HOME."
    )
    encryption_keys: tuple[str, ...] = _setting(
        "",
        _keys,
        "Encrypt stored secrets, 32 characters or more each: the first one encrypts, all of them and SECRET_KEY"
        " decrypt; empty: SECRET_KEY alone.",
    )

    # Stores
    database_url: str = _setting(
        "", _url("postgresql", "postgres"), "`postgresql://…`; empty: embedded PostgreSQL."
    )
    database_read_url: str = _setting(
        "",
        _url("postgresql", "postgres"),
        "A streaming replica of the same database, for public reads while it is up to date; empty: none.",
    )
    redis_url: str = _setting(
        "",
        _url("redis", "rediss", "unix"),
        "`redis://…`, `rediss://…?ssl_ca_certs=…` or `unix://…`; empty: embedded Redis.",
    )
    database_pool: int = _setting(
        "36",
        _positive,
        "Connections to PostgreSQL that a server may hold, all its processes together; each has nine at least.",
    )
    upload_url: str = _setting(
        "",
        _url("file", "s3"),
        "`s3://bucket/prefix?endpoint=…` for object storage; empty: `file://$BUGRELAY_HOME/uploads`.",
    )
    max_screenshot_size_mb: int = _setting("10", _positive, "Largest screenshot of a support report, in MiB.")
    capture_days: int = _setting(
        "90", _days, "Days after which captures and screenshots of support reports are deleted."
    )
    max_upload_mb: int = _setting("10", _positive, "Largest picture, and largest file of a ticket, in MiB.")

    mail_url: str = _setting(
        "",
        _url("file", "smtp", "smtps"),
        "`smtp://user:password@host:port` (STARTTLS where offered) or `smtps://…`; empty:"
        " `file://$BUGRELAY_HOME/mail`, one `.eml` a mail.",
    )
    mail_from: str = _setting("BugRelay <bugrelay@localhost>", str, "Sender of mails.")
    support_email: str = _setting("", str, "Where replies to mails about support reports go; empty: nowhere.")
    require_verified_email: bool = _setting(
        "false", _flag, "Voting, commenting and claiming need a verified address."
    )

    # Tokens
    access_token_minutes: int = _setting("15", _positive, "Life of an access token.")
    refresh_token_days: int = _setting("30", _positive, "Life of a refresh token.")
    argon2_memory_kib: int = _setting("19456", _positive, "Memory for one password hash.")
    argon2_iterations: int = _setting("2", _positive, "Passes over that memory.")

    # Sign-in with others
    oauth_github_client_id: str = _setting("", str, "Sign-in with GitHub; empty: none.")
    oauth_github_client_secret: str = _setting("", str, "Its secret.")
    oauth_github_url: str = _setting(
        "https://github.com", _url("http", "https"), "Another address for a GitHub Enterprise Server."
    )
    oauth_google_client_id: str = _setting("", str, "Sign-in with Google; empty: none.")
    oauth_google_client_secret: str = _setting("", str, "Its secret.")
    oauth_issuers: tuple[OidcIssuer, ...] = _setting(
        "", _issuers, "OpenID Connect issuers, a list of `name=https://client_id:client_secret@host/path`."
    )

    # Issues at GitHub
    github_enabled: bool = _setting(
        "false",
        _flag,
        "Whether GITHUB_REPO is a default for companies whose admins switch it on.",
    )
    github_token: str = _setting("", str, "The default's token.")
    github_repo: str = _setting("", _repository, "The default's repository, `owner/name`.")
    github_labels: tuple[str, ...] = _setting("", _items, "Labels of the default's issues, a list.")
    github_api_url: str = _setting(
        "https://api.github.com",
        _api_address,
        "GitHub's API, for all companies; of a GitHub Enterprise Server `https://HOST/api/v3`.",
    )
    github_writes: Rate | None = _setting(
        "20/minute", _rate, "Writes to GitHub with one token: issues, changes and comments."
    )

    # Captcha
    captcha: Literal["recaptcha", "off"] = _setting(
        "recaptcha",
        _one_of("recaptcha", "off"),
        "`off`: no token is required; in production only if set explicitly.",
    )
    recaptcha_site_key: str = _setting("", str, "Returned to clients by `/api/v1/config`.")
    recaptcha_secret_key: str = _setting(
        "",
        str,
        "Empty in development: anonymous reports still need a token, and any non-empty one passes.",
    )
    recaptcha_verify_url: str = _setting(
        "https://www.google.com/recaptcha/api/siteverify", _url("http", "https"), "Where tokens are verified."
    )
    recaptcha_min_score: float = _setting("0.5", _share, "Lowest score that passes (reCAPTCHA v3).")
    recaptcha_hostnames: tuple[str, ...] = _setting(
        "", _items, "Host names a token may come from; empty: any."
    )
    recaptcha_action: str = _setting("", str, "The action a token must be for (reCAPTCHA v3); empty: any.")

    # Limits
    rate_limit_general: Rate | None = _setting("60/minute", _rate, "Requests under /api, by client address.")
    rate_limit_bug_submission: Rate | None = _setting("5/minute", _rate, "Bug reports, by client address.")
    rate_limit_sign_in: Rate | None = _setting(
        "10/minute", _rate, "Register, login, refresh and sign-in with others, by client address."
    )
    rate_limit_mail: Rate | None = _setting(
        "5/minute",
        _rate,
        "Requests that send a mail, by client address and by account; password resets are counted separately.",
    )
    rate_limit_similar: Rate | None = _setting(
        "60/minute", _rate, "Searches for similar bugs, by client address."
    )
    rate_limit_feeds: Rate | None = _setting("60/minute", _rate, "Requests for feeds, by client address.")
    issue_report_rate_limit: Rate | None = _setting(
        "10", _hourly_rate, "Support reports, by user; a bare number is per hour."
    )
    new_applications_per_day: Rate | None = _setting(
        "50/day", _rate, "Applications that reports from one client address may create."
    )
    max_requests_in_flight: int = _setting(
        "1000", _positive, "Requests that a server process handles at once; further ones get 503."
    )
    live_connections: int = _setting(
        "2000",
        _positive,
        "Live streams and sockets of a server process; further ones get 503.",
    )
    live_connections_per_address: int = _setting(
        "100",
        _positive,
        "The same for anonymous clients, by client address; further ones get 429.",
    )
    send_timeout_seconds: int = _setting(
        "20", _positive, "Seconds after which a client that reads nothing of its response is disconnected."
    )

    # Network
    trusted_proxies: tuple[IPNetwork, ...] = _setting(
        "", _networks, "CIDRs of proxies whose X-Forwarded-For is trusted."
    )
    cors_allow_origins: tuple[str, ...] = _setting(
        "", _items, "Origins whose pages may call the API from a browser."
    )
    admin_allowed_networks: tuple[IPNetwork, ...] = _setting(
        "", _networks, "CIDRs from which admins have their rights, on every route; empty: any."
    )
    allowed_hosts: tuple[str, ...] = _setting("", _items, "Host names that requests may use; empty: any.")

    def __post_init__(self) -> None:
        if self.environment == "production":
            self._check_production()  # before what is empty gets the value that development has
        if not self.public_url:
            host = f"[{self.host}]" if ":" in self.host else self.host
            object.__setattr__(self, "public_url", f"http://{host}:{self.port}")
        object.__setattr__(self, "public_url", self.public_url.rstrip("/"))
        object.__setattr__(self, "bugrelay_home", self.bugrelay_home.expanduser().absolute())
        if not self.mail_url:
            object.__setattr__(self, "mail_url", f"file://{self.bugrelay_home}/mail")
        if not self.upload_url:
            object.__setattr__(self, "upload_url", f"file://{self.bugrelay_home}/uploads")
        if self.secret_key and len(self.secret_key) < 32:  # noqa: PLR2004 - RFC 7518 section 3.2 for HS256
            raise SettingError("SECRET_KEY must have at least 32 characters")
        for name in ("oauth_github_client", "oauth_google_client"):
            if getattr(self, f"{name}_id") and not getattr(self, f"{name}_secret"):
                raise SettingError(f"{name.upper()}_SECRET must be set with {name.upper()}_ID")
        if self.github_enabled and not (self.github_token and self.github_repo):
            raise SettingError("GITHUB_TOKEN and GITHUB_REPO must be set with GITHUB_ENABLED")

    def _check_production(self) -> None:
        for name in ("secret_key", "database_url", "redis_url", "public_url", "mail_url"):
            if not getattr(self, name):
                raise SettingError(f"{name.upper()} must be set when ENVIRONMENT=production")
        if self.captcha == "recaptcha" and not self.recaptcha_secret_key:
            raise SettingError("RECAPTCHA_SECRET_KEY must be set when ENVIRONMENT=production, or CAPTCHA=off")

    @property
    def doubts(self) -> tuple[str, ...]:
        """Settings that are valid but probably unintended: one sentence each, which begins with the setting."""
        if self.environment != "production":
            return ()
        found = []
        if self.upload_url.startswith("file:"):
            found.append("UPLOAD_URL is a folder: servers on other machines do not see what is uploaded here")
        if not self.allowed_hosts:
            found.append("ALLOWED_HOSTS is empty: requests for any host name are answered")
        if not self.encryption_keys:
            found.append(
                "ENCRYPTION_KEYS is empty: a change of SECRET_KEY makes the secrets of webhooks unreadable"
            )
        return tuple(found)

    @property
    def pool_size(self) -> int:
        """The maximum number of connections of one process for reads; the same for writes, and for votes."""
        return max(MIN_POOL_SIZE, self.database_pool // self.workers // 3)

    @property
    def server_connections(self) -> int:
        """The maximum number of connections of a server: `database_pool`, or the minimum of its processes if larger."""
        return max(self.database_pool, self.workers * 3 * MIN_POOL_SIZE)

    @property
    def max_upload_bytes(self) -> int:
        return self.max_upload_mb * 1024 * 1024

    @property
    def max_screenshot_bytes(self) -> int:
        return self.max_screenshot_size_mb * 1024 * 1024

    @property
    def secrets_keys(self) -> tuple[str, ...]:
        """The keys of stored secrets, the newest first."""
        return (*self.encryption_keys, self.signing_key)

    @property
    def signing_key(self) -> str:
        """`SECRET_KEY`, or the development secret that is created once in `BUGRELAY_HOME` (mode 0600)."""
        if self.secret_key:
            return self.secret_key
        path = self.bugrelay_home / "secret"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{os.getpid()}")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(48))
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(draft)  # of several processes that start at once, the first decides
            draft.unlink()
        return path.read_text().strip()


SETTINGS = tuple(fields(Settings))


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings: each from NAME, or from the file that NAME_FILE names.

    Args:
        environ: Where to read from; by default the process environment over the `.env` of the working directory.

    Raises:
        SettingError: One line that names the first bad setting.
    """
    if environ is None:
        environ = {**{k: v for k, v in dotenv_values(".env").items() if v is not None}, **os.environ}
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        name, text = _given(environ, setting.name.upper())
        if text == "":
            continue
        try:
            values[setting.name] = setting.metadata["parse"](text)
        except ValueError as error:
            raise SettingError(f"{name} {error}") from error
    return Settings(**values)


def _given(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """The variable that sets a setting, `NAME` or `NAME_FILE`, and its text; empty if it is not set."""
    file_name = f"{name}_FILE"
    text, path = environ.get(name, ""), environ.get(file_name, "")
    if not path:
        return name, text
    if text:
        raise SettingError(f"{name} and {file_name} are both set")
    return file_name, _text_of_file(file_name, Path(path))


def _text_of_file(name: str, path: Path) -> str:
    """The content of the file, without the newline that editors and shells add at its end."""
    try:
        text = path.read_text(encoding="utf-8").removesuffix("\n")
    except OSError as error:
        raise SettingError(f"{name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingError(f"{name} is not a text in UTF-8") from error
    if not text:  # an empty file is a mistake, not an empty setting
        raise SettingError(f"{name} is an empty file")
    return text
