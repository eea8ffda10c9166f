"""The pages that a browser opens: they come from this server alone, so that they are there without the internet."""

from sequal.templates import templates_of

__all__ = ["page"]

_TEMPLATES = templates_of("lib.web.routes")


def page(name: str, **values: object) -> str:
    """A page as HTML.

    Args:
        name: of its template, without `.html.j2`.
        values: what the template shows; texts are escaped.
    """
    return _TEMPLATES.get_template(f"{name}.html.j2").render(**values)
