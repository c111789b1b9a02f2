"""Training, export and evaluation. Never imported by the web or the worker."""
