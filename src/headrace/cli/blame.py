"""The part of a traceback that is the application's, without the way that led there."""

from pathlib import Path
from traceback import FrameSummary, StackSummary, TracebackException

_OURS = str(Path(__file__).parents[1])
_OF_PYTHON = ("<frozen importlib", "<frozen runpy")


def traceback_of_application(exc: BaseException) -> str:
    """The traceback, causes included, of frames that are neither ours nor the import system's."""
    whole = TracebackException.from_exception(exc)
    told: TracebackException | None = whole
    while told is not None:
        told.stack = StackSummary.from_list([one for one in told.stack if _is_theirs(one)])
        told = told.__cause__ or (None if told.__suppress_context__ else told.__context__)
    return "".join(whole.format())


def _is_theirs(frame: FrameSummary) -> bool:
    name = frame.filename
    return not (
        name.startswith((_OURS, *_OF_PYTHON)) or name.endswith(str(Path("importlib/__init__.py")))
    )
