"""How λ acted in each run: evidence, rules and the verdict that they lead to."""
