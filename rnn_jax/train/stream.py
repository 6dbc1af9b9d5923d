"""Batches that are computed rather than read."""


class generate:
    """make(i) -> batch, for i = 0, 1, ..., as an iterator with a state: what a generated task needs to be resumed.

    `make` must depend on i alone (fold i into a key), else a resumed run sees other batches than an unbroken one.
    """

    def __init__(self, make):
        self.make, self.next = make, 0

    def __iter__(self):
        return self

    def __next__(self):
        self.next += 1
        return self.make(self.next - 1)

    def get_state(self):
        return {"next": self.next}

    def set_state(self, state):
        self.next = state["next"]
