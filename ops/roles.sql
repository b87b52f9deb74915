-- The service under a role that may do its work and no more. In particular it can add to the audit but neither change nor delete a row of it,
-- and it can neither make an API key nor forget a vault key: that takes the owner of the tables, which is who runs the commands.
--
--   1. DATABASE_URL=postgres://OWNER… npm run --silent cli -- migrate
--   2. psql postgres://OWNER… -f ops/roles.sql            after every release's migrations; running it again is harmless
--   3. ALTER ROLE tiktok_oauth_service PASSWORD '…'       once, by whoever may
--   4. DATABASE_URL=postgres://tiktok_oauth_service… npm start; commands of the command line go on under OWNER
--
-- The service starts under this role only when nothing is left to migrate (42501, insufficient_privilege, otherwise). Partitions of the audit are made and dropped
-- by two functions that run with the owner's rights, and keep the last thirty days whoever calls them.
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tiktok_oauth_service') THEN
		CREATE ROLE tiktok_oauth_service LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
	END IF;
END $$;

-- What it may not do is taken away first: from it, and from everybody.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, tiktok_oauth_service;

GRANT USAGE ON SCHEMA public, drizzle TO tiktok_oauth_service;
GRANT SELECT ON ALL TABLES IN SCHEMA drizzle TO tiktok_oauth_service;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO tiktok_oauth_service;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO tiktok_oauth_service;

DO $$
DECLARE
	name text;
BEGIN
	-- Partitions are reached through their parents, and only through them.
	FOR name IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition LOOP
		EXECUTE format('GRANT %s ON public.%I TO tiktok_oauth_service', CASE
			-- The audit: read and added to.
			WHEN name IN ('token_reads', 'timeline', 'audit_log') THEN 'SELECT, INSERT'
			-- Keys of callers: looked up, and marked as used.
			WHEN name = 'api_keys' THEN 'SELECT, UPDATE (last_used_at)'
			-- Canaries: read, and one left for a new key.
			WHEN name = 'vault_keys' THEN 'SELECT, INSERT'
			ELSE 'SELECT, INSERT, UPDATE, DELETE'
		END, name);
	END LOOP;
END $$;
