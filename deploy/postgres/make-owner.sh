#!/bin/bash
# Run once by the Postgres image on an empty volume: the role that owns the tables is no superuser.
set -euo pipefail
psql --set ON_ERROR_STOP=1 --set password="$DATABASE_OWNER_PASSWORD" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE skinclinic_owner LOGIN CREATEROLE PASSWORD :'password';
CREATE DATABASE skinclinic OWNER skinclinic_owner;
SQL
