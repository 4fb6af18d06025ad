"""minijmap: one process, one SQLite file, every published JMAP specification."""
