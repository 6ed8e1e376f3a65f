"""What every section of the configuration file has in common: no unknown keys, no conversions.

Does not know: which sections there are.
"""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the file: no unknown keys, no conversions, no changes after loading."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )
