"""An account as a folder of files: written whole, and given back to an account that is empty or to one that is not."""
