"""How much alike two spaces over the same tiles are, and what moves a space: the swept value, or the seed."""
