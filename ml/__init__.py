"""Reading dermoscopic photographs. Plain Python: nothing here knows the web."""
