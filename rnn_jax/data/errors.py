"""The one exception of this package."""


class DataError(ValueError):
    """Data that is absent or does not fit the request. The message is one line: what is wrong, and how to mend it."""
