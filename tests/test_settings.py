"""Settings from the environment and from files that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from bugrelay.settings import SETTINGS, SettingError, load_settings

KEY = "0123456789abcdef0123456789abcdef"


def test_each_setting_can_stand_in_a_file(tmp_path: Path) -> None:
    names = {setting.name.upper(): setting.metadata["default"] for setting in SETTINGS}
    assert not {f"{name}_FILE" for name in names} & names.keys()
    given = {name: default for name, default in names.items() if default} | {"SECRET_KEY": KEY}
    for name, text in given.items():
        (tmp_path / name).write_text(f"{text}\n")
    from_files = load_settings({f"{name}_FILE": str(tmp_path / name) for name in given})
    assert from_files == load_settings(given)


@pytest.mark.parametrize(
    ("written", "read"), [(b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b" a ", " a "), (b"a", "a")]
)
def test_the_newline_at_the_end_of_a_file_is_not_part_of_the_value(
    tmp_path: Path, written: bytes, read: str
) -> None:
    (tmp_path / "name").write_bytes(written)
    assert load_settings({"SITE_NAME_FILE": str(tmp_path / "name")}).site_name == read


def test_a_value_and_a_file_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    with pytest.raises(SettingError, match=r"^SECRET_KEY and SECRET_KEY_FILE are both set$"):
        load_settings({"SECRET_KEY": KEY, "SECRET_KEY_FILE": str(tmp_path / "key")})
    one = load_settings({"SECRET_KEY": "", "SECRET_KEY_FILE": str(tmp_path / "key")})
    assert one == load_settings({"SECRET_KEY": KEY, "SECRET_KEY_FILE": ""})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "MAIL_URL_FILE cannot be read: No such file or directory"),
        (b"", "MAIL_URL_FILE is an empty file"),
        (b"\n", "MAIL_URL_FILE is an empty file"),
        (b"\xff", "MAIL_URL_FILE is not a text in UTF-8"),
        (b"http://mail", "MAIL_URL_FILE must be a URL that starts with file:// or smtp:// or smtps://"),
    ],
)
def test_an_unusable_file_is_reported_with_its_setting(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    file = tmp_path / "url"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingError) as raised:
        load_settings({"MAIL_URL_FILE": str(file)})
    assert str(raised.value) == why


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^DATABASE_URL_FILE cannot be read: Is a directory$"):
        load_settings({"DATABASE_URL_FILE": str(tmp_path)})
