#!/bin/sh
# The core's tests on other versions of JAX and flax. Arguments: environment, packages (in one word), test files.
set -eu

newest_python() { # the newest Python here that has venv, $PYTHON at worst
  for v in 3.13 3.12 3.11; do
    for p in "python$v" "$HOME"/.pyenv/versions/$v.*/bin/python; do
      if "$p" -c "import venv, ensurepip" 2>/dev/null; then echo "$p"; return; fi
    done
  done
  echo "${PYTHON:-python3}"
}

env=$1 packages=$2
shift 2
[ -x "$env/bin/python" ] || "$(newest_python)" -m venv "$env"
"$env/bin/pip" install --quiet --no-compile $packages pytest pytest-xdist
"$env/bin/python" -c "import jax, flax, sys; print('compat: python', sys.version.split()[0], 'jax', jax.__version__, 'flax', flax.__version__)"
PYTHONPATH=. "$env/bin/python" -m pytest -n 2 -p no:cacheprovider -W ignore "$@"
