"""What managers see of their clinic in figures: counted from the record, and said with age and interval."""
