"""The pages that a browser opens: they come from this server alone, so that they are there without the internet."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

__all__ = ["page"]

_TEMPLATES = Environment(
    loader=PackageLoader("lib.routes"),
    autoescape=select_autoescape(["html.j2"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(name: str, **values: object) -> str:
    """A page as HTML.

    Args:
        name: of its template, without `.html.j2`.
        values: what the template shows; texts are escaped.
    """
    return _TEMPLATES.get_template(f"{name}.html.j2").render(**values)
