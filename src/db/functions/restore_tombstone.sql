-- Leaves the tombstone of an account that was connected and disconnected after the moment the database went back to: whoever holds its
-- id hears "disconnected", and no journal can make it again. p_restore holds account_id, owner_id, account_type, attested_at,
-- attestation_version, scopes, reason, connected_at, disconnected_at and actor.
-- Returns whether it was needed: false when the account is there, live or not.
CREATE OR REPLACE FUNCTION restore_tombstone(p_restore jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	ended record;
BEGIN
	SELECT r.* INTO STRICT ended FROM jsonb_to_record(p_restore) AS r(account_id text, owner_id text, account_type text, attested_at timestamptz,
		attestation_version text, scopes text[], reason text, connected_at timestamptz, disconnected_at timestamptz, actor text);
	INSERT INTO owners (id) VALUES (ended.owner_id) ON CONFLICT (id) DO NOTHING;
	INSERT INTO accounts (id, owner_id, status, status_reason, account_type, attested_at, attestation_version, age_confirmed_at, scopes, authorized_at,
		connected_at, disconnected_at)
	VALUES (ended.account_id, ended.owner_id, 'disconnected', ended.reason, ended.account_type, ended.attested_at, ended.attestation_version, ended.attested_at,
		ended.scopes, ended.connected_at, ended.connected_at, ended.disconnected_at)
	ON CONFLICT (id) DO NOTHING;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	INSERT INTO timeline (account_id, kind, code, actor) VALUES (ended.account_id, 'disconnected', ended.reason, ended.actor);
	RETURN true;
END $$;
