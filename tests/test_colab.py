"""The notebooks: equal to their py:percent sources, and they run from top to bottom, here at a small size."""

import ast
import re
from pathlib import Path

import jupytext
import nbclient
import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "colab"
SMALL = {
    "quickstart": dict(STEPS=12, WIDTH=8, BATCH=4, WINDOW=16, HELD_OUT=32, LENGTH=40, REACH=20, EXAMPLE_STEPS=2),
    "gradients": dict(WIDTH=8, LAG=12, SEEDS=2, STEPS=6, MEMORY=4),
}
SAYS = {  # words that each prints, and how many pictures it shows
    "quickstart": (
        (
            "jax ",
            "method      auto",
            "differences",
            "train_loss",
            "step 12/",
            "def ",
            "many to many, delayed    scored at steps [3 4 5]",
        ),
        2,
    ),
    "gradients": (("jax ", "spectral radius", "step 6/6", "half-life", "leak: ", "report.html"), 11),
}
every_notebook = pytest.mark.parametrize("name", sorted(p.stem for p in FOLDER.glob("*.py")))


def cells(notebook):
    return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]


def sizes(notebook):
    """The one cell with the tag `parameters`."""
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    return cell


def test_each_notebook_has_its_source():
    assert {p.stem for p in FOLDER.glob("*.ipynb")} == {p.stem for p in FOLDER.glob("*.py")} == set(SMALL)


@every_notebook
def test_the_notebook_is_its_source(name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    assert cells(notebook) == cells(jupytext.read(FOLDER / f"{name}.py")), "run `make notebooks`"
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


@every_notebook
def test_the_notebook_imports_and_defines_no_machinery(name):
    """No class, no loop over time or over updates, and a cell of at most ten lines."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    assert not any(isinstance(node, ast.ClassDef | ast.While) for node in ast.walk(tree))
    assert not re.search(r"lax\.scan|apply_updates|\.update\(", ast.unparse(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 10, node.name


@every_notebook
@pytest.mark.usefixtures("quick_compilation")
def test_the_notebook_runs(name, tmp_path):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    cell = sizes(notebook)
    given = {node.targets[0].id for node in ast.parse(cell.source).body}
    assert given == set(SMALL[name]), "a size that this test does not make small"
    cell.source = "\n".join(f"{k} = {v}" for k, v in SMALL[name].items())
    nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    words, pictures = SAYS[name]
    for word in words:
        assert word in printed, word
    assert "DISAGREES" not in printed
    if name == "quickstart":
        written = next(output.text for output in outputs if output.get("text", "").startswith("def "))
        assert len(written) == len("def ") + SMALL[name]["LENGTH"] + 1
    assert sum("image/png" in output.get("data", {}) for output in outputs) == pictures
    assert not any(output.get("name") == "stderr" for output in outputs), [
        o for o in outputs if o.get("name") == "stderr"
    ]
    assert not list(tmp_path.iterdir())  # nothing is left beside the notebook
