-- Makes an account as a connect had made it before the database went back, or brings the one that is there forward to that connect.
-- p_restore holds what restore_token_set takes, and owner_id, open_id, client_key, label, account_type, attested_at, attestation_version,
-- connected_at and session_id.
--
-- An account that was disconnected stays so: a tombstone is final. No event goes out.
-- Returns restored, present, gone (disconnected) or taken (its TikTok account is connected as another account, whose end may be in
-- another journal: try again when all of them were read).
CREATE OR REPLACE FUNCTION restore_account(p_restore jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	fresh record;
	present record;
	outcome text;
BEGIN
	SELECT r.* INTO STRICT fresh FROM jsonb_to_record(p_restore) AS r(account_id text, generation integer, attempt_id text, sealed_access_token text,
		sealed_identity text, sealed_refresh_token text, sealed_expiry text, access_expires_at timestamptz, refresh_expires_at timestamptz, lifetime_seconds integer, scopes text[],
		actor text, owner_id text, open_id text, client_key text, label text, account_type text, attested_at timestamptz, attestation_version text,
		connected_at timestamptz, session_id text);

	SELECT a.status INTO present FROM accounts a WHERE a.id = fresh.account_id;
	IF FOUND THEN
		IF present.status = 'disconnected' THEN
			RETURN 'gone';
		END IF;
		outcome := restore_token_set(p_restore || jsonb_build_object('lost_required_scope', false));
		IF outcome <> 'restored' THEN
			RETURN outcome;
		END IF;
		UPDATE accounts a SET sealed_identity = fresh.sealed_identity, authorized_at = fresh.connected_at, account_type = fresh.account_type, attested_at = fresh.attested_at,
			attestation_version = fresh.attestation_version, age_confirmed_at = fresh.attested_at, attestation_source = 'self_attested',
			label = coalesce(a.label, fresh.label), expiry_announced_days = NULL
		WHERE a.id = fresh.account_id;
		UPDATE token_sets t SET client_key = fresh.client_key WHERE t.account_id = fresh.account_id;
	ELSE
		INSERT INTO owners (id) VALUES (fresh.owner_id) ON CONFLICT (id) DO NOTHING;
		BEGIN
			INSERT INTO accounts (id, owner_id, open_id, sealed_identity, label, status, account_type, attested_at, attestation_version, age_confirmed_at, scopes,
				profile_due_at, authorized_at, connected_at)
			VALUES (fresh.account_id, fresh.owner_id, fresh.open_id, fresh.sealed_identity, fresh.label, 'active', fresh.account_type, fresh.attested_at, fresh.attestation_version,
				fresh.attested_at, fresh.scopes, now(), fresh.connected_at, fresh.connected_at);
		EXCEPTION WHEN unique_violation THEN
			-- By its id: a neighbour has restored it just now, or left its tombstone.
			RETURN CASE WHEN EXISTS (SELECT 1 FROM accounts a WHERE a.id = fresh.account_id) THEN 'present' ELSE 'taken' END;
		END;
		INSERT INTO token_sets (account_id, generation, client_key, sealed_access_token, sealed_refresh_token, sealed_expiry, access_expires_at, refresh_expires_at, lifetime_seconds,
			saved_attempt_id, due_at)
		VALUES (fresh.account_id, fresh.generation, fresh.client_key, fresh.sealed_access_token, fresh.sealed_refresh_token, fresh.sealed_expiry, fresh.access_expires_at, fresh.refresh_expires_at,
			fresh.lifetime_seconds, fresh.attempt_id, refresh_due_at(fresh.access_expires_at, fresh.lifetime_seconds, now()));
		INSERT INTO timeline (account_id, kind, generation, attempt_id, actor)
		VALUES (fresh.account_id, 'restored', fresh.generation, fresh.attempt_id, fresh.actor);
	END IF;

	UPDATE connect_sessions s SET status = 'completed', error = NULL, account_id = fresh.account_id, completed_at = now(), sealed_code = NULL,
		sealed_verifier = NULL, attempt_id = NULL, lease_until = NULL
	WHERE s.id = fresh.session_id AND s.status <> 'completed';
	DELETE FROM revocations r WHERE r.tiktok_user = tiktok_user_of(fresh.open_id);
	RETURN 'restored';
END $$;
