"""The routes that the app adds to the server for annotators and viewers, below `/sequal/`."""

from lib.web.routes.serving import Access, Served, serve_studies

__all__ = ["Access", "Served", "serve_studies"]
