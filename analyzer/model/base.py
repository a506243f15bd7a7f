"""What all models share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A frozen value inside the program; snake_case in JSON, infinities as strings (JSON has none)."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


Moment = Annotated[float, Field(allow_inf_nan=False)]
"""A moment in Unix seconds. Infinities are for values and bounds: in a time they are damage, whoever reads it."""

EARLIEST: Moment = 1e9
"""2001: whoever gives less as the moment of an upgrade means something else."""


class Spec(BaseModel):
    """A part of a rule set as a person writes it: camelCase keys, unknown ones refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        ser_json_inf_nan="strings",
    )
