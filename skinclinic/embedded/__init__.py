"""Postgres and Valkey for one machine, and the supervisor behind `bin/up`. Nothing in here needs Django."""
