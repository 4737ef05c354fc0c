"""The ledger of claims as the report shows it."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from lambdascape.report.tables import number, span

TEXT = ("sentence", "verdict", "estimated", "power", "evidence", "test", "refuted_when", "source")
MARKS = {"confirmed": "✓", "refuted": "✗", "undecided": "?"}


@dataclass(frozen=True)
class Entry:
    """One claim.

    Attributes:
        number: its place in the claims file.
        sentence: the claim.
        verdict: confirmed, refuted or undecided.
        mark: a sign for the verdict.
        estimate: the number, empty where there is none.
        interval: its interval in words, empty where there is none.
        evidence: the numbers behind it.
        details: name and text of what a reader may want beside it.
    """

    number: str
    sentence: str
    verdict: str
    mark: str
    estimate: str
    interval: str
    evidence: str
    details: list[tuple[str, str]]


@dataclass(frozen=True)
class Ledger:
    """All claims.

    Attributes:
        source: who made them; empty where the claims file does not say.
        tally: how many have which verdict, in words.
        entries: the claims.
        tested: whether any could be tested.
    """

    source: str
    tally: str
    entries: list[Entry]
    tested: bool


def ledger(claims: pd.DataFrame) -> Ledger:
    """Set the table of claims for the page.

    Args:
        claims: table of `claims.ledger.judge_claims`, read with the columns `TEXT` as text.
    """
    counts = claims["verdict"].value_counts()
    tally = ", ".join(f"{counts[verdict]} {verdict}" for verdict in MARKS if verdict in counts)
    source = str(claims["source"].iloc[0]) if len(claims) else ""
    return Ledger(source, tally, list(_entries(claims)), bool((~_untested(claims)).any()))


def _untested(claims: pd.DataFrame) -> "pd.Series[bool]":
    return claims["evidence"].str.startswith("not tested")


def _entries(claims: pd.DataFrame) -> Iterator[Entry]:
    for row in claims.to_dict("records"):
        known = pd.notna(row["estimate"])
        interval = span(row["low"], row["high"]) if pd.notna(row["low"]) else "no interval"
        details = [
            ("Estimate", f"{row['estimated']}: {number(row['estimate'])} ({interval})." if known else ""),
            ("Test", row["test"]),
            ("Refuted when", row["refuted_when"]),
            ("Power", row["power"]),
        ]
        yield Entry(
            str(row["claim"]),
            row["sentence"],
            row["verdict"],
            MARKS.get(row["verdict"], ""),
            number(row["estimate"]) if known else "",
            interval if known else "",
            row["evidence"] + (f" {row['power']}" if row["verdict"] == "undecided" and row["power"] else ""),
            [(name, text) for name, text in details if text],
        )
