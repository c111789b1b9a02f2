"""The whole clinic in one sealed file, and back out of it into an empty place."""
