"""minijmap: one process, one SQLite file, every published JMAP specification."""

__version__ = "0.1.0"
