"""Files that travel inside the package."""

from importlib import resources


def read_template(name: str) -> str:
    """The text of ``templates/<name>``, from a checkout, a wheel or a zip alike."""
    return resources.files("vcm_sweep.analysis").joinpath("templates", name).read_text(encoding="utf-8")
