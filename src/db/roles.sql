-- What the service's role may do, in one transaction: whoever is at work under it meanwhile has its rights before and after, never fewer.
-- Run by `cli roles` and by ops/roles.sql, after `set_config('service.role', NAME, true)`. It can add to the audit but neither change nor
-- delete a row of it, and it can neither make an API key nor forget a vault key: that takes the owner of the tables.
--
-- When a row of the audit was written is the database's word, so that column is not its to fill; nor does it write as `operator`, by a check
-- of the tables. Partitions are made and dropped, and old rows of the audit log deleted, by functions that run with the owner's rights and
-- keep what the owner promised, whoever calls them.
DO $$
DECLARE
	service text := current_setting('service.role');
	name text;
BEGIN
	PERFORM pg_advisory_xact_lock(7214004); -- two at once would change the same rows of the catalog

	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = service) THEN
		EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE', service);
	END IF;
	IF EXISTS (SELECT FROM pg_roles WHERE rolname = service AND rolsuper)
		OR EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = 'accounts' AND pg_get_userbyid(relowner) = service) THEN
		RAISE EXCEPTION 'the role is a superuser or owns the tables, so nothing can be kept from it: name another'
			USING ERRCODE = 'invalid_grantor';
	END IF;

	-- What it may not do is taken away first: from it, and from everybody.
	REVOKE CREATE ON SCHEMA public FROM PUBLIC;
	REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;
	EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA public FROM %I', service);

	EXECUTE format('GRANT USAGE ON SCHEMA public, drizzle TO %I', service);
	EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA drizzle TO %I', service);
	EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO %I', service);
	EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO %I', service);

	-- Partitions are reached through their parents, and only through them.
	FOR name IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition LOOP
		EXECUTE format('GRANT %s ON public.%I TO %I', CASE
			-- The audit: read and added to.
			WHEN name IN ('token_reads', 'timeline', 'audit_log') THEN 'SELECT, INSERT (' || (
				SELECT string_agg(quote_ident(a.attname), ', ') FROM pg_attribute a
				WHERE a.attrelid = format('public.%I', name)::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'at' AND a.attidentity = ''
			) || ')'
			-- Keys of callers: looked up, and marked as used.
			WHEN name = 'api_keys' THEN 'SELECT, UPDATE (last_used_at)'
			-- The seals of its days: one more, and none changed.
			WHEN name = 'audit_days' THEN 'SELECT, INSERT'
			-- Canaries: read, and one left for a new key; seals are counted.
			WHEN name = 'vault_keys' THEN 'SELECT, INSERT, UPDATE (seals)'
			ELSE 'SELECT, INSERT, UPDATE, DELETE'
		END, name, service);
	END LOOP;
END $$;
