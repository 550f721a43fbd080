import importlib.util
from importlib.machinery import ModuleSpec

import pytest

from headrace.mailroom import corpus
from headrace.mailroom.classify import Kind, acknowledgement_recipient, classify
from headrace.mailroom.corpus import Corpus, default_corpus
from headrace.mailroom.parsing import parse
from headrace.mailroom.recount import Count, recount_files
from headrace.mailroom.second_reading import read_again
from headrace.mailroom.sources import MailSourceError

HAS_CPYTHON_TESTS = importlib.util.find_spec("test.test_email") is not None
CORPORA = [
    pytest.param(
        corpus._of_cpython,
        id="CPython",
        marks=pytest.mark.skipif(
            not HAS_CPYTHON_TESTS, reason="this Python comes without its e-mail tests"
        ),
    ),
    pytest.param(corpus._of_flufl_bounce, id="flufl.bounce"),
]


@pytest.fixture(params=CORPORA)
def found(request: pytest.FixtureRequest) -> Corpus:
    source: Corpus = request.param()
    return source


def test_it_has_at_least_forty_distinct_messages_of_all_kinds(found: Corpus) -> None:
    messages = [parse(raw.content) for raw in found.messages]
    charsets = {charset for message in messages for charset in message.charsets}
    assert len({raw.content for raw in found.messages}) >= 40
    assert len({raw.key for raw in found.messages}) == len(found.files)
    assert any(message.text and message.attachments for message in messages)
    assert any(part.filename for message in messages for part in message.attachments)
    assert charsets - {"utf-8", "us-ascii"}
    assert any("delivery-status" in message.report_types for message in messages)
    assert any(acknowledgement_recipient(message) for message in messages)


def test_the_separate_count_agrees(found: Corpus) -> None:
    messages = [parse(raw.content) for raw in found.messages]
    assert recount_files(found.files) == Count(
        messages=len(messages),
        attachments=sum(len(message.attachments) for message in messages),
        bounces=sum(classify(message) is Kind.BOUNCE for message in messages),
        acknowledgements=sum(
            acknowledgement_recipient(message) is not None for message in messages
        ),
    )


def test_a_python_without_its_tests_reads_flufl_bounce(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec

    def without_tests(name: str) -> ModuleSpec | None:
        return None if name == "test" else find_spec(name)

    monkeypatch.setattr(importlib.util, "find_spec", without_tests)
    assert default_corpus().name == "the tests of flufl.bounce"


def test_without_any_corpus_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "FEWEST_MESSAGES", 1_000_000)
    with pytest.raises(MailSourceError, match=r"install headrace\[demo\], or name a Maildir"):
        default_corpus()


def test_the_separate_count_agrees_on_damaged_mail(found: Corpus) -> None:
    for raw in found.messages:
        lines = raw.content.splitlines(keepends=True)
        for line in range(0, min(len(lines), 60), 9):
            for damaged in (lines[:line], lines[:line] + lines[line + 1 :]):
                content = b"".join(damaged)
                message, again = parse(content), read_again(content)
                assert again.attachments == len(message.attachments), content
                assert again.is_bounce is (classify(message) is Kind.BOUNCE), content
                answered = again.expects_answer and again.can_be_answered
                assert answered is (acknowledgement_recipient(message) is not None), content
