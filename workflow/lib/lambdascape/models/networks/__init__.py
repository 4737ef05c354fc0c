"""Networks from tiles to maps of features, one family in each module."""
