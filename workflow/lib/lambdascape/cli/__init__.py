"""The command `lambdascape`."""
