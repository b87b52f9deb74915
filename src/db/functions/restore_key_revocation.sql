-- Revokes an API key again that was revoked after the moment the database went back to. It runs with the rights of its owner: the service's
-- role can end no key otherwise (ops/roles.sql), and ending one takes nothing but a caller's access.
-- Returns whether the key was live.
CREATE OR REPLACE FUNCTION restore_key_revocation(p_key text, p_revoked_at timestamptz, p_actor text) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	UPDATE api_keys SET revoked_at = least(p_revoked_at, now()) WHERE id = p_key AND revoked_at IS NULL;
	IF NOT FOUND AND p_key LIKE 'jwt:%' THEN
		-- A JWT caller has a row only once it is denied.
		INSERT INTO api_keys (id, name, secret_hash, scopes, revoked_at) VALUES (p_key, p_key, '', '{}', least(p_revoked_at, now()))
		ON CONFLICT (id) DO NOTHING;
	END IF;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	INSERT INTO audit_log (actor, action, object, detail) VALUES (p_actor, 'api_key_revoked', p_key, 'again, after a restore');
	RETURN true;
END $$;
REVOKE EXECUTE ON FUNCTION restore_key_revocation(text, timestamptz, text) FROM PUBLIC;
