"""The names of what a study makes: its stages and tables, and the parts of its page."""

# Ending of the name of the second space of a run that keeps moving averages, and of that space's rows of losses: with
# the batch statistics recomputed for the weights.
WITH_RECOMPUTED = "_recomputed"
# Value of training.batch_statistics, beside `moving`, the published behaviour; and kind of that second space.
RECOMPUTED = "recomputed"
STAGES = ("models", "embeddings", "probes", "geometry", "similarity", "tables", "figures", "viewer")
TABLES = (
    *("training", "layers", "probe_epochs", "scores", "confusion", "few_shot", "geometry", "spectra", "centroids"),
    *("unused_clips", "comparisons", "choice", "selection", "mechanism", "every_run", "claims", "audit", "distant"),
)
# The published study, in figures and in the report.
PUBLISHED = "Gröger (2020)"
# Beside the template of the report, in its folder `page`.
PAGE_PARTS = (
    *("macros.html.j2", "answer.html.j2", "claims.html.j2", "scores.html.j2", "runs.html.j2", "training.html.j2"),
    *("spaces.html.j2", "exports.html.j2", "method.html.j2", "words.html.j2", "style.css", "print.css", "page.js"),
)
