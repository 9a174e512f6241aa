"""Errors that a user can mend: a verb prints their text and exits with status 2, without a traceback."""


class UserError(ValueError):
    """What was received, the rule, the way out, and the valid names."""


class SettingsError(UserError):
    """A setting that does not exist, does not fit its type, or contradicts another."""
