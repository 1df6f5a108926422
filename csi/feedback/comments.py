"""What do customers write about? Comments grouped by their terms; no feeling is read into them.

Terms are words of three letters or more, of any script, and pairs of neighbouring words, weighted
by TF-IDF (Salton & Buckley 1988, Information Processing & Management 24, 513-523) and parted by
non-negative matrix factorisation (Lee & Seung 1999, Nature 401, 788-791; scikit-learn, NNDSVD
start, fixed seed). Each comment belongs to the group that it has most of. No language is assumed,
so no stop words are known: terms of more than half of the comments part nothing and are left out.

What a score says of a group is its mean by scale, of answers that carry such a comment, with
interval. A group is a set of words that occur together and no judgement about the customer.

People are protected: addresses are masked before a comment gets here, and what masks them is no
term; a term counts only where it occurs in the comments on at least 3 tickets; what `names` holds
(who answered, and the log's people where they are shown) is no term; groups of fewer than 5
comments are left out, and so is a mean of fewer than 5 scores. The texts themselves leave only
with `texts`.
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from csi.feedback.summary import SEED, SMALLEST_GROUP
from csi.statistics import Estimate, mean
from process_mining.privacy import without_contacts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

FEWEST_TICKETS: Final = 3
MOST_GROUPS: Final = 8
PER_GROUP: Final = 15  # comments that a group should have on average before there is another one
TERMS_SHOWN: Final = 6
TOO_COMMON: Final = 0.5
_MASK: Final = re.compile(r"\[(?:email|phone|ip)\]")
_WORD: Final = re.compile(r"[^\W\d_]{3,40}")
_NEGLIGIBLE: Final = 1e-9


@dataclass(frozen=True)
class Comment:
    """A comment, the ticket that it is about, and the score that it came with, if any."""

    ticket: str
    text: str
    scale: str
    score: int | None


@dataclass(frozen=True)
class Group:
    """Comments that share terms; `scores` by scale; `texts` only with leave, masked."""

    terms: tuple[str, ...]
    n: int
    tickets: int
    scores: tuple[tuple[str, Estimate], ...]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grouping:
    """All groups, largest first; and how many comments are in none, by reason.

    `without_terms`: every term of theirs is too rare or too common. `in_small_groups`: their group
    has fewer than 5 comments.
    """

    n: int
    groups: tuple[Group, ...]
    without_terms: int
    in_small_groups: int


def group_comments(
    comments: Sequence[Comment], *, names: Collection[str] = (), texts: bool = False
) -> Grouping:
    """Group comments by their terms; the order in which they are given changes nothing."""
    ordered = sorted(comments, key=lambda c: (c.ticket, c.text, c.scale, c.score or 0))
    hidden = {word for name in names for word in _words(name)}
    said = [_terms(comment.text, hidden) for comment in ordered]
    terms = _vocabulary(ordered, said)
    known = [i for i, own in enumerate(said) if not own.isdisjoint(terms)]
    if not known:
        return Grouping(len(ordered), (), len(ordered), 0)
    labels, words = _parted([ordered[i].text for i in known], terms, hidden)
    members: dict[int, list[Comment]] = defaultdict(list)
    for place, label in zip(known, labels, strict=True):
        members[label].append(ordered[place])
    large = {k: v for k, v in members.items() if len(v) >= SMALLEST_GROUP}
    groups = [_group(own, words[label], texts=texts) for label, own in sorted(large.items())]
    return Grouping(
        n=len(ordered),
        groups=tuple(sorted(groups, key=lambda g: (-g.n, g.terms))),
        without_terms=len(ordered) - len(known),
        in_small_groups=len(known) - sum(group.n for group in groups),
    )


def _words(text: str) -> list[str]:
    """The words of a text; masks are none, nor is what stands in for an address."""
    return [word.casefold() for word in _WORD.findall(_MASK.sub(" 0 ", without_contacts(text)))]


def _analysed(text: str, hidden: Collection[str]) -> list[str]:
    """The terms of a text, each as often as it occurs: words, and neighbouring pairs."""
    words = _words(text)
    pairs = [
        f"{one} {two}" for one, two in pairwise(words) if one not in hidden and two not in hidden
    ]
    return [word for word in words if word not in hidden] + pairs


def _terms(text: str, hidden: Collection[str]) -> set[str]:
    return set(_analysed(text, hidden))


def _vocabulary(comments: Sequence[Comment], said: Sequence[set[str]]) -> list[str]:
    """Terms that occur on enough tickets to name nobody, and on few enough to part anything."""
    tickets: dict[str, set[str]] = defaultdict(set)
    often: dict[str, int] = defaultdict(int)
    for comment, own in zip(comments, said, strict=True):
        for term in own:
            tickets[term].add(comment.ticket)
            often[term] += 1
    limit = TOO_COMMON * len(comments)
    return sorted(
        term
        for term, about in tickets.items()
        if len(about) >= FEWEST_TICKETS and often[term] <= limit
    )


def _parted(
    texts: Sequence[str], terms: Sequence[str], hidden: Collection[str]
) -> tuple[list[int], list[tuple[str, ...]]]:
    """Return the group of each text, and the leading terms of each group."""
    # loaded here: the rest of csi does without
    from sklearn.decomposition import NMF  # noqa: PLC0415
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415

    def analyse(text: str) -> list[str]:
        return _analysed(text, hidden)

    weights = TfidfVectorizer(analyzer=analyse, vocabulary=terms).fit_transform(texts)
    groups = min(MOST_GROUPS, len(terms), max(2, len(texts) // PER_GROUP), len(texts))
    if groups < 2:  # noqa: PLR2004 - one group parts nothing
        return [0] * len(texts), [_leading(np.asarray(weights.sum(axis=0)).ravel(), terms)]
    model = NMF(n_components=groups, init="nndsvd", random_state=SEED % 2**32, max_iter=400)
    with warnings.catch_warnings():
        # the parts of the last round are parts too; more rounds move single comments
        warnings.simplefilter("ignore", ConvergenceWarning)
        shares = model.fit_transform(weights)
    # rounded, so that the last bits of a machine's arithmetic decide no tie
    labels = np.argmax(np.round(np.asarray(shares, np.float64), 6), axis=1)
    parts = np.round(np.asarray(model.components_, np.float64), 6)
    return [int(label) for label in labels], [_leading(row, terms) for row in parts]


def _leading(weights: Floats, terms: Sequence[str]) -> tuple[str, ...]:
    order = sorted(range(len(terms)), key=lambda i: (-weights[i], terms[i]))
    return tuple(terms[i] for i in order[:TERMS_SHOWN] if weights[i] > _NEGLIGIBLE)


def _group(comments: Sequence[Comment], terms: tuple[str, ...], *, texts: bool) -> Group:
    by_scale: dict[str, list[Comment]] = defaultdict(list)
    for comment in comments:
        if comment.score is not None:
            by_scale[comment.scale].append(comment)
    scores = [
        (scale, _mean(own, scale))
        for scale, own in sorted(by_scale.items())
        if len(own) >= SMALLEST_GROUP
    ]
    return Group(
        terms=terms,
        n=len(comments),
        tickets=len({comment.ticket for comment in comments}),
        scores=tuple(scores),
        texts=tuple(without_contacts(c.text) for c in comments) if texts else (),
    )


def _mean(comments: Sequence[Comment], scale: str) -> Estimate:
    values = np.array([c.score for c in comments], np.float64)
    tickets = np.array([c.ticket for c in comments], np.str_)
    several = len(set(tickets.tolist())) < len(values)
    return mean(values, unit=f"score {scale}", seed=SEED, clusters=tickets if several else None)
