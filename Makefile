# make demo    installs into .venv and trains a character language model of Python on this machine's own library
# make test    installs what tests need and runs them
# Needs Python >= 3.11 (PYTHON=python3.12 chooses one) and nothing else.
PYTHON ?= python3
BIN := .venv/bin
# Python compiles what is imported when it is: compiling all that is installed takes half of an installation's time.
INSTALL := $(BIN)/pip install --quiet --no-compile

.PHONY: demo test test-slow lint compat compat-oldest compat-newest notebooks clean

demo: .venv/installed
	$(BIN)/python -m experiments.char_lm

test: .venv/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: .venv/installed-test
	$(BIN)/python -m pytest -m slow

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# The core on the oldest supported JAX (that of Colab's TPU image) and on the newest, each in its own environment, of the
# cases of each test one in twelve; on the newest with XLA's own settings, where tests/conftest.py would choose those that
# compile faster.
CORE := tests/test_scan.py tests/test_nn.py tests/test_data_parallel.py tests/cells tests/test_checking.py \
	tests/gradients/test_flow.py tests/gradients/test_jacobians.py tests/methods/test_transposes.py --thin 12
compat: compat-oldest compat-newest

compat-oldest:
	PYTHON=$(PYTHON) sh compat.sh .venv-oldest "jax==0.7.2 jaxlib==0.7.2 flax==0.11.2" $(CORE)

compat-newest:
	XLA_FLAGS= PYTHON=$(PYTHON) sh compat.sh .venv-newest "--upgrade jax flax" $(CORE)

notebooks: .venv/installed-test
	$(BIN)/jupytext --to ipynb colab/*.py

clean:
	rm -rf .venv .venv-* runs

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(INSTALL) --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(INSTALL) --editable '.[test]'
	touch $@
