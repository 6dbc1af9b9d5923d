"""The one exception of this package."""


class DataError(ValueError):
    """Data that is absent or does not fit the request. The message is one line: what is wrong, and how to mend it."""

    exit_code = 2  # for the front door of experiments, which this package does not import
