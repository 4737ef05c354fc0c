"""Which runs ended with something wrong, as the report says it."""

import pandas as pd

from lambdascape.models.collapse import FLAGS
from lambdascape.study.catalogue import WITH_RECOMPUTED

MARK = "⚑"
# What follows from each flag for who reads the scores.
MEANING = {
    "collapsed": "Scores and maps of such a space show the collapse, not the sounds.",
    "at_rest": "The loss no longer trains the network there.",
    "stale_statistics": "Scores and held-out losses there belong to averages of earlier weights, not to the trained "
    "network: use the space with recomputed statistics, or set training.batch_statistics: recomputed.",
}


def flagged(training: pd.DataFrame) -> dict[str, list[str]]:
    """Each flag that a run's last epoch carries, on any split, to the names of these runs in their order.

    What the second space of a run shows is not said of the run.

    Args:
        training: training.tsv.
    """
    rows = training[training["measure"].isin(FLAGS) & ~training["split"].str.endswith(WITH_RECOMPUTED)]
    last = rows[rows["epoch"] == rows.groupby("run")["epoch"].transform("max")]
    raised = last[last["value"] > 0]
    found = {flag: list(dict.fromkeys(raised.loc[raised["measure"] == flag, "run"].astype(str))) for flag in FLAGS}
    return {flag: runs for flag, runs in found.items() if runs}


def warnings_of(training: pd.DataFrame) -> list[str]:
    """A sentence for each flag: what is wrong, in which runs, and what that means; none where all is well."""
    runs = training["run"].nunique()
    return [
        f"After the last epoch of {len(names)} of {runs} {'run' if runs == 1 else 'runs'} {FLAGS[flag]} "
        f"({', '.join(names)}). {MEANING[flag]}"
        for flag, names in flagged(training).items()
    ]
