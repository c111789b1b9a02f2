-- Begins the one transaction of a restore: it takes away the tables of a place in which nobody has ever worked.
BEGIN;
SET LOCAL lock_timeout = '60s';
SET LOCAL client_min_messages = warning;

DO $$
BEGIN
    IF to_regclass('public.accounts_clinic') IS NOT NULL THEN
        LOCK TABLE accounts_clinic, accounts_user;
        IF EXISTS (SELECT FROM accounts_clinic) OR EXISTS (SELECT FROM accounts_user) THEN
            RAISE EXCEPTION 'somebody has begun to work in this database meanwhile';
        END IF;
    END IF;
END
$$;

SELECT format('DROP TABLE IF EXISTS %s CASCADE', oid::regclass) FROM pg_class
WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
\gexec
SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', oid::regprocedure) FROM pg_proc
WHERE pronamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
\gexec

-- A back-up says of each table what differs from no privileges at all: with these, the application would be given more.
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM skinclinic_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM skinclinic_app;
