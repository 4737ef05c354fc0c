"""Claims: statements from a file, judged on the numbers of a study."""
