"""The tidy tables of a study."""
