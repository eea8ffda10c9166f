"""The routes that the app adds to the server for annotators and viewers, below `/sequal/`."""

from lib.web.routes.serving import Access, serve_study

__all__ = ["Access", "serve_study"]
