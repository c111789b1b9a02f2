"""The only code that changes a status. One module for each noun; every function is one transaction."""
