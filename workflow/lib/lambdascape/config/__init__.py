"""The keys of the config, typed: what a study can set, and the form in which jobs get it."""
