"""Which errors can a user meet, and what do they say?

Every error that a user can cause is a `CodedError`: a stable code, what is wrong and where, why
it matters, and how to mend it. The command line prints it on one line and leaves with its exit
code; a traceback is a defect of ours. Codes are never reused:

    LG  reading a log          QG  log-quality gate       MO  reference models, alignment
    RU  rules and practices    EN  rules engine           SL  service levels, calendars
    ST  statistics, KPIs       RG  improvement register   CY  cycle, notebooks, simulation
    CL  command line
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WORDS_SHOWN: Final = 40


class CodedError(Exception):
    """Wrong usage or configuration (exit code 2): the user's files or options need a change.

    `what` names the place (file, line, column, parameter), `why` the consequence, `fix` the mend.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, code: str, what: str, *, why: str = "", fix: str = "") -> None:
        """Keep the parts; the message is put together from them."""
        self.code, self.what, self.why, self.fix = code, what, why, fix
        parts = (f"{code} {what}", why, fix)
        super().__init__(" ".join(_sentence(part) for part in parts if part))


class RunError(CodedError):
    """The run itself failed (exit code 3): damaged data, a full disk, engines that disagree."""

    exit_code: ClassVar[int] = 3


class ManyCodedErrors(CodedError):  # noqa: N818 - it is a set of errors
    """All mistakes of one input at once, in the order in which they were found."""

    def __init__(self, errors: Sequence[CodedError]) -> None:
        """Take the first error's code; the message is one line for each error."""
        first = errors[0]
        super().__init__(first.code, first.what, why=first.why, fix=first.fix)
        self.errors = tuple(errors)
        self.args = ("\n".join(str(error) for error in errors),)


def many(errors: Sequence[CodedError]) -> CodedError:
    """Return the one error, or all of them as one; there is at least one."""
    return errors[0] if len(errors) == 1 else ManyCodedErrors(errors)


def raise_all(errors: Sequence[CodedError]) -> None:
    """Raise the one error, or all of them together; do nothing when there are none."""
    if errors:
        raise many(errors)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "Did you mean 'x'?" for the nearest known word, else (up to 40 of) the known words."""
    words = sorted(known)
    near = get_close_matches(word, words, n=1, cutoff=0.6)
    if near:
        return f"Did you mean '{near[0]}'?"
    more = f" and {len(words) - WORDS_SHOWN} more" if len(words) > WORDS_SHOWN else ""
    return f"Known: {', '.join(words[:WORDS_SHOWN])}{more}." if words else ""


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
