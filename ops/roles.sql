-- The service under a role that may do its work and no more; what it may is in src/db/roles.sql. Without psql: `cli roles`.
--
--   1. DATABASE_URL=postgres://OWNER… npm run --silent cli -- migrate
--   2. psql postgres://OWNER… -f ops/roles.sql            after every release's migrations; running it again is harmless, under load too
--   3. ALTER ROLE tiktok_oauth_service PASSWORD '…'       once, by whoever may
--   4. DATABASE_URL=postgres://tiktok_oauth_service… MIGRATE=off npm start; commands of the command line go on under OWNER
--
-- Another name: psql -v role=NAME …
\set ON_ERROR_STOP on
\if :{?role}
\else
	\set role tiktok_oauth_service
\endif
BEGIN;
SELECT set_config('service.role', :'role', true) AS role;
\ir ../src/db/roles.sql
COMMIT;
