"""What is wrong with an export."""

from rim.base.errors import UserError


class ExportError(UserError):
    """A run that no ordinary engine can run, or an export that does not answer as its run does."""
