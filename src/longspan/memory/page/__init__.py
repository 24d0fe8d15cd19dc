"""The report page: one HTML file that shows, and lets people try, how far back a network remembers."""

from longspan.memory.page._write import write

__all__ = ["write"]
