"""What looks like a secret is not kept: not in errors, their stacks, nor in what jobs tell."""

import json
import re
from collections.abc import Iterable

from headrace.errors import UsageError
from headrace.model.shown import shown

HIDDEN = "***"
# Each hides what its group `secret` matches, or all that it matches. No pattern begins with what
# may be long, and none has two long parts in a row: time grows with the text alone.
_USUAL = (
    # password=..., "api_key": "...", X-Auth-Token: ...
    r"""(?ix) (?: passw(?:or)?d | pwd | secret | token | (?:api|private|access)[_-]?key
        | credential | cookie ) [\w-]{0,20} ["']? \s{0,3} (?: => | [:=] ) \s{0,3}
        (?P<secret> "[^"\n]*" | '[^'\n]*' | [^\s,;&)}\]]+ )""",
    r"(?i)\bauthorization[\"']?\s*[:=]\s*[\"']?(?P<secret>(?:\w+\s+)?[\w.~+/=-]+)",
    r"(?i)\b(?:bearer|basic)\s+(?P<secret>[\w.~+/=-]{8,})",
    r"://[^\s/:@]{0,100}:(?P<secret>[^\s@/]{1,500})@",  # user:password@host
    r"\beyJ[\w-]{8,2000}\.[\w-]+\.[\w-]*",  # JSON Web Tokens
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\b(?:sk|rk|pk)_(?:live|test)_\w{8,}",
    r"\b(?:gh[pousr]|github_pat|glpat|xox[abprs])[_-][\w-]{10,}",
)


class Redaction:
    """Hides what looks like a secret.

    Args:
        patterns: regular expressions besides the usual ones. A group called `secret` is hidden,
            or else all that matches.

    Raises:
        UsageError: one is no regular expression.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._patterns = [*map(re.compile, _USUAL), *map(_compiled, patterns)]

    def clean(self, text: str) -> str:
        """The text without secrets."""
        for pattern in self._patterns:
            text = pattern.sub(_hide, text)
        return text

    def clean_error(self, error: str) -> str:
        """An error, as `describe` makes it, without secrets."""
        fields: dict[str, object] = json.loads(error)
        cleaned = {
            name: self.clean(value) if isinstance(value, str) else value
            for name, value in fields.items()
        }
        return error if cleaned == fields else json.dumps(cleaned)


def check_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    """Patterns as a setting.

    Raises:
        UsageError: one is no regular expression.
    """
    return tuple(_compiled(one).pattern for one in patterns)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, TypeError) as exc:
        raise UsageError(f"{shown(pattern)} is no regular expression ({exc}); mend it") from exc


def _hide(found: re.Match[str]) -> str:
    if "secret" not in found.re.groupindex or found["secret"] is None:
        return HIDDEN
    start, end = (place - found.start() for place in found.span("secret"))
    return found[0][:start] + HIDDEN + found[0][end:]
