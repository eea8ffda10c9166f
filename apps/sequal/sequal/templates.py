"""Jinja templates of a package: what they show is escaped in pages, and a name that nobody gave is an error."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

__all__ = ["templates_of"]


def templates_of(package: str) -> Environment:
    """The templates in `templates/` of a package, such as `lib.web.routes`."""
    return Environment(
        loader=PackageLoader(package),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
