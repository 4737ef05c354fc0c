"""The page that says what a study found: the answer, the figures, the verdicts, and where all of it comes from."""
