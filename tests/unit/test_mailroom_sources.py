import mailbox
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.mailroom.recount import recount
from headrace.mailroom.sources import MailSourceError, open_source

ONE = b"From: a@example.org\nSubject: one\n\nbody\n"
TWO = b"Subject: two\r\nFrom: b@example.org\r\n\r\n>From here\r\nbody\r\n"
SEPARATOR = b"From a@example.org Thu Jan  1 00:00:00 1970\n"


def read(path: Path) -> dict[str, bytes]:
    found = {message.key: message.content for message in open_source(path).messages()}
    assert recount(path).messages == len(found)
    return found


def skipped(path: Path) -> dict[str, str]:
    return {str(each.path.relative_to(path)): each.reason for each in open_source(path).skipped}


def test_a_maildir_gives_what_was_delivered(tmp_path: Path) -> None:
    inbox = mailbox.Maildir(tmp_path / "mail")
    inbox.add(ONE)
    inbox.add_folder("Sent").add(TWO)
    root = tmp_path / "mail"
    (root / "cur" / "7.host:2,S").write_bytes(SEPARATOR + ONE + b"\n" + SEPARATOR + b"not an mbox")
    (root / "cur" / "8.host:2,S").write_bytes(b"\0 damaged")
    (root / "cur" / ".hidden").write_bytes(ONE)
    (root / "tmp" / "half").write_bytes(ONE)
    (root / "dovecot-uidlist").write_bytes(b"3 V1")
    found = read(root)
    assert open_source(root).kind == "maildir"
    assert len(found) == 4
    assert found["cur/8.host:2,S"] == b"\0 damaged"
    assert found["cur/7.host:2,S"].endswith(b"not an mbox")
    assert {key.rpartition("/")[0] for key in found} == {"cur", "new", ".Sent/new"}
    assert {"cur/.hidden", "tmp", "dovecot-uidlist"} <= set(skipped(root))


def test_an_mbox_gives_its_messages_as_they_are_stored(tmp_path: Path) -> None:
    path = tmp_path / "inbox"
    body_line = b"From here on\n"
    path.write_bytes(SEPARATOR + ONE + body_line + b"\n" + SEPARATOR + TWO + b"\n" + SEPARATOR)
    assert open_source(path).kind == "mbox"
    assert read(path) == {"inbox#1": ONE + body_line, "inbox#2": TWO, "inbox#3": b""}


def test_an_mbox_with_crlf(tmp_path: Path) -> None:
    path = tmp_path / "inbox.mbox"
    separator = SEPARATOR.replace(b"\n", b"\r\n")
    path.write_bytes((separator + TWO + b"\r\n") * 2)
    assert list(read(path).values()) == [TWO, TWO]


def test_an_mbox_whose_separators_have_no_date(tmp_path: Path) -> None:
    path = tmp_path / "inbox.mbox"
    path.write_bytes(b"From a\n" + ONE + b"From b no empty line before\n\nFrom c\n" + ONE)
    assert list(read(path).values()) == [ONE + b"From b no empty line before\n", ONE]


@settings(deadline=None)
@given(st.lists(st.sampled_from([ONE, TWO, ONE * 2]), min_size=1, max_size=5))
def test_an_mbox_of_the_standard_library_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, messages: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("mbox") / "box"
    box = mailbox.mbox(path)
    for message in messages:
        box.add(message)
    box.close()
    assert list(read(path).values()) == messages


def test_a_folder_gives_every_mail_and_reports_the_rest(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    mails = {
        "a.eml": b"",
        "b.eml": b"\0\1\2 no mail, but named so",
        "17": ONE,
        "text.txt": b"no header at all\n",
        "mail.html": ONE,
        "deep/er/same": ONE,
    }
    for name, content in mails.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "deep" / "box").write_bytes((SEPARATOR + ONE + b"\n") * 2)
    others = {
        "picture.png": b"\x89PNG\r\n\x1a\n\0",
        "noext": b"\0\1",
        "page.html": b"<p>Subject</p>\n",
        "empty": b"",
        ".hidden": ONE,
        "old.eml.gz": b"\x1f\x8b\x08\0",
    }
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link").symlink_to(tmp_path / "deep", target_is_directory=True)
    os.mkfifo(tmp_path / "pipe.eml")
    assert read(tmp_path) == {**mails, "deep/box#1": ONE, "deep/box#2": ONE}
    assert set(skipped(tmp_path)) == {*others, "link", "pipe.eml"}


def test_one_file_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "one.eml"
    path.write_bytes(TWO)
    assert open_source(path).kind == "file"
    assert read(path) == {"one.eml": TWO}


def test_a_relative_path_gives_the_same_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.eml").write_bytes(ONE)
    monkeypatch.chdir(tmp_path)
    assert read(Path()) == read(tmp_path) == {"a.eml": ONE}


def test_a_name_that_is_not_utf8_makes_a_storable_key(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.eml")).write_bytes(ONE)
    assert read(tmp_path) == {r"\xff.eml": ONE}


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MailSourceError, match="nowhere does not exist; name a Maildir"):
        open_source(tmp_path / "nowhere")


def test_a_folder_without_mail_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\0")
    with pytest.raises(MailSourceError, match=r"holds no message \(1 other files were skipped\)"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [("empty", b"", "is empty"), ("a.png", b"\x89PNG\0", "is binary and has no mail header")],
)
def test_a_file_that_is_no_mail_is_refused(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MailSourceError, match=f"{name} {reason}; name a message"):
        open_source(tmp_path / name)


def test_a_file_that_vanishes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(ONE)
    source = open_source(tmp_path)
    (tmp_path / "a.eml").unlink()
    with pytest.raises(MailSourceError, match=r"a\.eml cannot be read"):
        list(source.messages())
