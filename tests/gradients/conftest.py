"""All tests here are many small compilations."""

import pytest


@pytest.fixture(autouse=True)
def quickly(quick_compilation):
    del quick_compilation
