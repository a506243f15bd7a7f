"""A command that has its own flags and hands all others on to helm."""

from typing import TYPE_CHECKING

from typer.core import TyperCommand, TyperOption

from analyzer.platforms.helm_flags import apart

if TYPE_CHECKING:
    from typer._click.core import Context


class WrapsHelm(TyperCommand):
    """Its flags and helm's may stand in any order, as helm takes them; helm's are in the context's `args`."""

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        """Parse our own words."""
        options = [param for param in self.get_params(ctx) if isinstance(param, TyperOption)]
        ours = {name: not option.is_flag for option in options for name in (*option.opts, *option.secondary_opts)}
        own, helms = apart(args, ours)
        super().parse_args(ctx, own)
        ctx.args = helms
        return helms
