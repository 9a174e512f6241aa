"""Errors in data and in the names of data, all of which a user can fix."""

from rim.base.errors import UserError


class DataError(UserError):
    """Data that cannot be read, named or used as asked: says where, the rule, and the way out."""


class RowError(DataError):
    """A row that cannot be read: where it stands, what was received, the rule, and the way out."""

    def __init__(self, place: str, received: str, rule: str, way_out: str) -> None:
        super().__init__(f"{place}: {received}; {rule}. Way out: {way_out}")
        self.place, self.received = place, received
