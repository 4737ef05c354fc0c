"""The one kind of error that a user can mend."""


class InputError(ValueError):
    """Something that arrived breaks a rule; the message says the rule, what arrived and the remedy where there is one.

    A job shows the message alone: a traceback would hide it.
    """
