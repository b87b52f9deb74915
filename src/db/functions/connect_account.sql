-- Gives a fresh grant its account: a new one while the owner has a place, or the one that this TikTok account has already.
-- p_grant holds owner_id, account_id, generation, client_key, open_id, union_id, reconnect_account_id, account_limit, label, account_type, attested_at,
-- attestation_version, scopes, missing_scopes, sealed_access_token, sealed_refresh_token, access_expires_at, refresh_expires_at,
-- lifetime_seconds, attempt_id, session_id and actor.
--
-- A function and not a CTE, because it has to lock the owner first and count afterwards. In one statement the count would see the
-- snapshot from before the wait, and two connects could take the last place.
--
-- Tokens come sealed for (account_id, generation). When that is no longer where they belong the answer is 'moved', and the caller
-- seals them anew.
--
-- A session that is gone was erased with its owner while TikTok was answering: an erased person is not connected again by what was
-- still in flight. Of a session that failed the person was told that nothing was connected, and may have acted on that since.
--
-- At TikTok a revocation ends all grants of a person, so one that still waits would end this new grant too. It is dropped here,
-- where it is looked for after the waits and not before them.
--
-- Lock order everywhere: connect session, owner, token set, account.
-- outcome: connected | already_connected | mismatch | moved | limit_reached | session_gone
CREATE OR REPLACE FUNCTION connect_account(p_grant jsonb) RETURNS TABLE (outcome text, account_id text) LANGUAGE plpgsql AS $$
DECLARE
	fresh record;
	present record;
	present_generation integer;
	was_down boolean := false;
BEGIN
	SELECT g.* INTO STRICT fresh FROM jsonb_to_record(p_grant) AS g(owner_id text, account_id text, generation integer, client_key text, open_id text, union_id text,
		reconnect_account_id text, account_limit integer, label text, account_type text, attested_at timestamptz, attestation_version text,
		scopes text[], missing_scopes text[], sealed_identity text, sealed_access_token text, sealed_refresh_token text, sealed_expiry text, access_expires_at timestamptz,
		refresh_expires_at timestamptz, lifetime_seconds integer, attempt_id text, session_id text, actor text);

	-- A repeat after a lost answer recognises its own success.
	SELECT a.id INTO present FROM accounts a JOIN token_sets t ON t.account_id = a.id WHERE t.saved_attempt_id = fresh.attempt_id AND a.id = fresh.account_id;
	IF FOUND THEN
		RETURN QUERY SELECT 'connected', present.id;
		RETURN;
	END IF;

	PERFORM 1 FROM connect_sessions s WHERE s.id = fresh.session_id AND s.status <> 'failed' FOR UPDATE;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'session_gone', NULL::text;
		RETURN;
	END IF;

	INSERT INTO owners (id) VALUES (fresh.owner_id) ON CONFLICT (id) DO UPDATE SET updated_at = now();

	SELECT s.* INTO present FROM same_person(fresh.open_id, fresh.union_id, fresh.owner_id, fresh.reconnect_account_id) s;
	IF FOUND THEN
		IF present.owner_id <> fresh.owner_id THEN
			RETURN QUERY SELECT 'already_connected', present.id;
			RETURN;
		ELSIF fresh.reconnect_account_id IS NOT NULL AND fresh.reconnect_account_id <> present.id THEN
			RETURN QUERY SELECT 'mismatch', present.id;
			RETURN;
		ELSIF present.id <> fresh.account_id THEN
			RETURN QUERY SELECT 'moved', present.id;
			RETURN;
		END IF;
		SELECT t.generation INTO present_generation FROM token_sets t WHERE t.account_id = fresh.account_id FOR UPDATE;
		IF NOT FOUND OR present_generation + 1 <> fresh.generation THEN
			RETURN QUERY SELECT 'moved', fresh.account_id;
			RETURN;
		END IF;
		was_down := present.status = 'reauthorization_required';
		IF present.open_id <> fresh.open_id THEN
			-- The same person under another app. What they have uploaded today counts on, and so does a refusal of TikTok's.
			UPDATE uploads u SET tiktok_user = tiktok_user_of(fresh.open_id) WHERE u.tiktok_user = tiktok_user_of(present.open_id);
			UPDATE upload_gates g SET tiktok_user = tiktok_user_of(fresh.open_id) WHERE g.tiktok_user = tiktok_user_of(present.open_id)
				AND NOT EXISTS (SELECT 1 FROM upload_gates o WHERE o.tiktok_user = tiktok_user_of(fresh.open_id));
			UPDATE accounts a SET open_id = fresh.open_id WHERE a.id = fresh.account_id AND a.status <> 'disconnected';
		END IF;
		UPDATE accounts a SET status = 'active', status_reason = NULL, status_changed_at = now(), sealed_identity = fresh.sealed_identity, scopes = fresh.scopes, authorized_at = now(),
			account_type = fresh.account_type, attested_at = fresh.attested_at, attestation_version = fresh.attestation_version,
			attestation_source = 'self_attested', age_confirmed_at = fresh.attested_at, label = coalesce(a.label, fresh.label),
			profile_due_at = now() + interval '1 minute', expiry_announced_days = NULL
		WHERE a.id = fresh.account_id AND a.status <> 'disconnected';
		UPDATE token_sets t SET generation = fresh.generation, client_key = fresh.client_key,
			sealed_access_token = fresh.sealed_access_token, sealed_refresh_token = fresh.sealed_refresh_token, sealed_expiry = fresh.sealed_expiry,
			access_expires_at = fresh.access_expires_at, refresh_expires_at = fresh.refresh_expires_at, lifetime_seconds = fresh.lifetime_seconds,
			refreshed_at = now(), saved_attempt_id = fresh.attempt_id, attempt_id = NULL, lease_until = NULL, unsettled_attempts = 0, rejected_at = NULL,
			failures = 0, next_attempt_at = now(), last_read_at = now(),
			due_at = refresh_due_at(fresh.access_expires_at, fresh.lifetime_seconds, now())
		WHERE t.account_id = fresh.account_id;
	ELSE
		IF fresh.reconnect_account_id IS NOT NULL THEN
			RETURN QUERY SELECT 'mismatch', fresh.reconnect_account_id;
			RETURN;
		ELSIF fresh.generation <> 1 THEN
			RETURN QUERY SELECT 'moved', fresh.account_id;
			RETURN;
		ELSIF (SELECT count(*) FROM accounts a WHERE a.owner_id = fresh.owner_id AND a.status <> 'disconnected') >= fresh.account_limit THEN
			RETURN QUERY SELECT 'limit_reached', NULL::text;
			RETURN;
		END IF;
		BEGIN
			INSERT INTO accounts (id, owner_id, open_id, sealed_identity, label, status, account_type, attested_at, attestation_version, age_confirmed_at,
				scopes, profile_due_at)
			VALUES (fresh.account_id, fresh.owner_id, fresh.open_id, fresh.sealed_identity, fresh.label, 'active', fresh.account_type, fresh.attested_at,
				fresh.attestation_version, fresh.attested_at, fresh.scopes, now() + interval '1 minute');
		EXCEPTION WHEN unique_violation THEN
			-- Another connect of the same TikTok account was quicker: the caller looks again.
			RETURN QUERY SELECT 'moved', NULL::text;
			RETURN;
		END;
		INSERT INTO token_sets (account_id, generation, client_key, sealed_access_token, sealed_refresh_token, sealed_expiry, access_expires_at,
			refresh_expires_at, lifetime_seconds, saved_attempt_id, due_at)
		VALUES (fresh.account_id, 1, fresh.client_key, fresh.sealed_access_token, fresh.sealed_refresh_token, fresh.sealed_expiry, fresh.access_expires_at,
			fresh.refresh_expires_at, fresh.lifetime_seconds, fresh.attempt_id, refresh_due_at(fresh.access_expires_at, fresh.lifetime_seconds, now()));
	END IF;

	UPDATE connect_sessions s SET status = 'completed', error = NULL, account_id = fresh.account_id, completed_at = now(), sealed_code = NULL, sealed_verifier = NULL,
		attempt_id = NULL, lease_until = NULL WHERE s.id = fresh.session_id;
	INSERT INTO timeline (account_id, kind, generation, attempt_id, actor, via_session_id, via_key_id)
	SELECT fresh.account_id, CASE WHEN fresh.generation = 1 THEN 'connected' ELSE 'reconnected' END, fresh.generation, fresh.attempt_id, fresh.actor, s.id, s.created_by
	FROM connect_sessions s WHERE s.id = fresh.session_id;
	INSERT INTO events (type, account_id, data)
	VALUES (CASE WHEN fresh.generation = 1 THEN 'account.connected' ELSE 'account.reconnected' END, fresh.account_id,
		jsonb_build_object('account_id', fresh.account_id, 'owner_id', fresh.owner_id, 'connect_session_id', fresh.session_id, 'scopes', to_jsonb(fresh.scopes), 'missing_scopes', to_jsonb(fresh.missing_scopes)));
	IF was_down THEN
		INSERT INTO events (type, account_id, data) VALUES ('account.recovered', fresh.account_id, jsonb_build_object('account_id', fresh.account_id, 'owner_id', fresh.owner_id));
	END IF;
	WITH dropped AS (DELETE FROM revocations r WHERE r.tiktok_user = tiktok_user_of(fresh.open_id) RETURNING r.account_id, r.session_id)
	INSERT INTO timeline (account_id, session_id, kind, code, actor) SELECT d.account_id, d.session_id, 'revocation_dropped', 'connected_anew', fresh.actor FROM dropped d;
	RETURN QUERY SELECT 'connected', fresh.account_id;
END $$;
