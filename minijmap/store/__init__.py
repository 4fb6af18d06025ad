"""The store: one SQLite file. It knows documents, modseqs, blobs and search, and no JMAP semantics."""
