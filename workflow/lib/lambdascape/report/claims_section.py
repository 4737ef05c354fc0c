"""The claims and their verdicts, as the report shows them."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor, log10
from typing import Any

import pandas as pd

TEXT = ("sentence", "verdict", "estimated", "power", "brief", "evidence", "published", "test", "refuted_when", "source")
MARKS = {"confirmed": "✓", "refuted": "✗", "undecided": "?"}


@dataclass(frozen=True)
class Entry:
    """One claim.

    Attributes:
        number: its place in the claims file.
        sentence: the claim.
        verdict: confirmed, refuted or undecided.
        mark: a sign for the verdict.
        estimated: what the estimate is.
        estimate: the number, empty where there is none.
        interval: its interval in words, empty where there is none.
        brief: the numbers behind it in one line; for an undecided claim, also the power of the data.
        published: what the same test says of the published curves; empty where they do not show what is measured.
        details: name and text of what a reader may want beside it.
    """

    number: str
    sentence: str
    verdict: str
    mark: str
    estimated: str
    estimate: str
    interval: str
    brief: str
    published: str
    details: list[tuple[str, str]]


@dataclass(frozen=True)
class Ledger:
    """All claims.

    Attributes:
        source: who made them; empty where the claims file does not say.
        tally: how many have which verdict, in words.
        counts: the same, verdict and count.
        entries: the claims.
        tested: whether any could be tested.
    """

    source: str
    tally: str
    counts: list[tuple[str, int]]
    entries: list[Entry]
    tested: bool


def ledger(claims: pd.DataFrame) -> Ledger:
    """Set the table of claims for the page.

    Args:
        claims: table of `claims.ledger.judge_claims`, read with the columns `TEXT` as text.
    """
    counts = claims["verdict"].value_counts()
    found = [(verdict, int(counts[verdict])) for verdict in MARKS if verdict in counts]
    tally = ", ".join(f"{count} {verdict}" for verdict, count in found)
    source = str(claims["source"].iloc[0]) if len(claims) else ""
    return Ledger(source, tally, found, list(_entries(claims)), bool((~_untested(claims)).any()))


def _untested(claims: pd.DataFrame) -> "pd.Series[bool]":
    return claims["evidence"].str.startswith("not tested")


def _entries(claims: pd.DataFrame) -> Iterator[Entry]:
    for row in claims.to_dict("records"):
        estimate, interval = _estimate(row["estimate"], row["low"], row["high"])
        details = [
            ("Estimate", f"{row['estimated']}: {estimate} ({interval})." if estimate else ""),
            ("Evidence", row["evidence"]),
            ("Test", row["test"]),
            ("Refuted when", row["refuted_when"]),
            ("Power", row["power"]),
        ]
        yield Entry(
            str(row["claim"]),
            row["sentence"],
            row["verdict"],
            MARKS.get(row["verdict"], ""),
            row["estimated"],
            estimate,
            interval,
            f"{row['brief']} {row['power']}".strip() if row["verdict"] == "undecided" else row["brief"],
            row["published"],
            [(name, text) for name, text in details if text],
        )


def _estimate(estimate: Any, low: Any, high: Any) -> tuple[str, str]:
    """An estimate and its interval, as exact as two digits of the interval's width; empty where there is none.

    A number has at least two digits of its own, so that none of them, nor its sign, is rounded to nothing.
    """
    if pd.isna(estimate):
        return "", ""
    if pd.isna(low):
        return f"{estimate:.3g}", "no interval"
    digits = _decimals(max(high - low, 0.01 * abs(estimate)))
    shown = [_rounded(value, max(digits, _decimals(value)) if value else digits) for value in (estimate, low, high)]
    return shown[0], f"{shown[1]} to {shown[2]}"


def _decimals(value: float) -> int:
    """Decimals, at most six, that show two digits of a number."""
    return min(max(1 - floor(log10(max(abs(value), 1e-6))), 0), 6)


def _rounded(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"
