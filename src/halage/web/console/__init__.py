"""The console: the pages that people see, rendered on the server and kept live by server-sent events."""

from halage.web.console.router import console_router

__all__ = ["console_router"]
