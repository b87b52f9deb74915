-- Replaces connect_account (0008): a session that has failed is as gone as one that was erased, and what is yet to be revoked of the same person is
-- dropped here, where it is looked for after the waits and not before them.
-- Gives a fresh grant its account: a new one while the owner has a place, or the one that this TikTok account has already.
-- A function and not a CTE, because it has to lock the owner first and count afterwards: in one statement the count
-- would see the snapshot from before the wait, and two connects could take the last place.
-- Tokens come sealed for (p_account, p_generation); when that is no longer where they belong the answer is 'moved' and the caller seals anew.
-- A session that is gone was erased with its owner while TikTok was answering: an erased person is not connected again by what was still in flight. Of
-- one that failed the person was told that nothing was connected; they may have connected anew since, or have disconnected that.
-- At TikTok a revocation ends all grants of a person, so one that waits would end this new grant too.
-- Lock order everywhere: connect session, owner, token set, account.
CREATE OR REPLACE FUNCTION connect_account(
	p_owner text, p_account text, p_generation integer, p_open_id text, p_reconnect text, p_limit integer, p_label text,
	p_account_type text, p_attested_at timestamptz, p_attestation_version text, p_scopes text[], p_missing_scopes text[],
	p_sealed_access text, p_sealed_refresh text, p_access_expires_at timestamptz, p_refresh_expires_at timestamptz, p_lifetime integer,
	p_attempt text, p_session text, p_actor text
) RETURNS TABLE (outcome text, account_id text) LANGUAGE plpgsql AS $$
DECLARE
	present record;
	present_generation integer;
	was_down boolean := false;
BEGIN
	-- A repeat after a lost answer recognises its own success.
	SELECT a.id INTO present FROM accounts a JOIN token_sets t ON t.account_id = a.id WHERE t.saved_attempt_id = p_attempt AND a.id = p_account;
	IF FOUND THEN
		RETURN QUERY SELECT 'connected', present.id;
		RETURN;
	END IF;

	PERFORM 1 FROM connect_sessions s WHERE s.id = p_session AND s.status <> 'failed' FOR UPDATE;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'session_gone', NULL::text;
		RETURN;
	END IF;

	INSERT INTO owners (id) VALUES (p_owner) ON CONFLICT (id) DO UPDATE SET updated_at = now();

	SELECT a.id, a.owner_id, a.status INTO present FROM accounts a WHERE a.open_id = p_open_id AND a.status <> 'disconnected';
	IF FOUND THEN
		IF present.owner_id <> p_owner THEN
			RETURN QUERY SELECT 'already_connected', present.id;
			RETURN;
		ELSIF p_reconnect IS NOT NULL AND p_reconnect <> present.id THEN
			RETURN QUERY SELECT 'mismatch', present.id;
			RETURN;
		ELSIF present.id <> p_account THEN
			RETURN QUERY SELECT 'moved', present.id;
			RETURN;
		END IF;
		SELECT t.generation INTO present_generation FROM token_sets t WHERE t.account_id = p_account FOR UPDATE;
		IF NOT FOUND OR present_generation + 1 <> p_generation THEN
			RETURN QUERY SELECT 'moved', p_account;
			RETURN;
		END IF;
		was_down := present.status = 'reauthorization_required';
		UPDATE accounts a SET status = 'active', status_reason = NULL, status_changed_at = now(), scopes = p_scopes, authorized_at = now(),
			account_type = p_account_type, attested_at = p_attested_at, attestation_version = p_attestation_version, age_confirmed_at = p_attested_at,
			label = coalesce(a.label, p_label), attestation_source = 'self_attested', profile_due_at = now() + interval '1 minute', expiry_announced_days = NULL
		WHERE a.id = p_account AND a.status <> 'disconnected';
		UPDATE token_sets t SET generation = p_generation, sealed_access_token = p_sealed_access, sealed_refresh_token = p_sealed_refresh,
			access_expires_at = p_access_expires_at, refresh_expires_at = p_refresh_expires_at, lifetime_seconds = p_lifetime,
			refreshed_at = now(), saved_attempt_id = p_attempt, attempt_id = NULL, lease_until = NULL, unsettled_attempts = 0, rejected_at = NULL,
			failures = 0, next_attempt_at = now(), last_read_at = now(), due_at = refresh_due_at(p_access_expires_at, p_lifetime, now())
		WHERE t.account_id = p_account;
	ELSE
		IF p_reconnect IS NOT NULL THEN
			RETURN QUERY SELECT 'mismatch', p_reconnect;
			RETURN;
		ELSIF p_generation <> 1 THEN
			RETURN QUERY SELECT 'moved', p_account;
			RETURN;
		ELSIF (SELECT count(*) FROM accounts a WHERE a.owner_id = p_owner AND a.status <> 'disconnected') >= p_limit THEN
			RETURN QUERY SELECT 'limit_reached', NULL::text;
			RETURN;
		END IF;
		BEGIN
			INSERT INTO accounts (id, owner_id, open_id, label, status, account_type, attested_at, attestation_version, age_confirmed_at, scopes, profile_due_at)
			VALUES (p_account, p_owner, p_open_id, p_label, 'active', p_account_type, p_attested_at, p_attestation_version, p_attested_at, p_scopes, now() + interval '1 minute');
		EXCEPTION WHEN unique_violation THEN
			-- Another connect of the same TikTok account was quicker; the caller looks again.
			RETURN QUERY SELECT 'moved', NULL::text;
			RETURN;
		END;
		INSERT INTO token_sets (account_id, generation, sealed_access_token, sealed_refresh_token, access_expires_at, refresh_expires_at, lifetime_seconds, saved_attempt_id, due_at)
		VALUES (p_account, 1, p_sealed_access, p_sealed_refresh, p_access_expires_at, p_refresh_expires_at, p_lifetime, p_attempt, refresh_due_at(p_access_expires_at, p_lifetime, now()));
	END IF;

	UPDATE connect_sessions s SET status = 'completed', error = NULL, account_id = p_account, completed_at = now(), sealed_code = NULL, sealed_verifier = NULL,
		attempt_id = NULL, lease_until = NULL WHERE s.id = p_session;
	INSERT INTO timeline (account_id, kind, generation, attempt_id, actor)
	VALUES (p_account, CASE WHEN p_generation = 1 THEN 'connected' ELSE 'reconnected' END, p_generation, p_attempt, p_actor);
	INSERT INTO events (type, account_id, data)
	VALUES (CASE WHEN p_generation = 1 THEN 'account.connected' ELSE 'account.reconnected' END, p_account,
		jsonb_build_object('account_id', p_account, 'owner_id', p_owner, 'scopes', to_jsonb(p_scopes), 'missing_scopes', to_jsonb(p_missing_scopes)));
	IF was_down THEN
		INSERT INTO events (type, account_id, data) VALUES ('account.recovered', p_account, jsonb_build_object('account_id', p_account, 'owner_id', p_owner));
	END IF;
	WITH dropped AS (DELETE FROM revocations r WHERE r.tiktok_user = tiktok_user_of(p_open_id) RETURNING r.account_id)
	INSERT INTO timeline (account_id, kind, code, actor) SELECT d.account_id, 'revocation_dropped', 'connected_anew', p_actor FROM dropped d;
	RETURN QUERY SELECT 'connected', p_account;
END $$;
--> statement-breakpoint
-- Records an answered refresh where its generation is still the one that was spent. A function and not a CTE, because the row may be held just now by
-- whoever marks the account, disconnects it, or saves this very answer a second time: what became of it is looked at after that wait.
-- Answers saved (also when this very attempt had been), recovered, double_spend, replaced or gone.
CREATE FUNCTION save_token_set(
	p_account text, p_spent integer, p_attempt text, p_sealed_access text, p_sealed_refresh text, p_access_expires_at timestamptz,
	p_refresh_expires_at timestamptz, p_lifetime integer, p_scopes text[], p_lost_required_scope boolean, p_wait_seconds double precision
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	account record;
	resumes_at timestamptz := now() + make_interval(secs => p_wait_seconds);
	next_status text := CASE WHEN p_lost_required_scope THEN 'reauthorization_required' ELSE 'active' END;
	next_reason text := CASE WHEN p_lost_required_scope THEN 'required_scope_removed' END;
BEGIN
	UPDATE token_sets t SET generation = p_spent + 1, sealed_access_token = p_sealed_access, sealed_refresh_token = p_sealed_refresh,
		access_expires_at = p_access_expires_at, refresh_expires_at = coalesce(p_refresh_expires_at, t.refresh_expires_at), lifetime_seconds = p_lifetime,
		refreshed_at = now(), saved_attempt_id = p_attempt, attempt_id = NULL, lease_until = NULL, unsettled_attempts = 0, rejected_at = NULL, failures = 0,
		next_attempt_at = resumes_at,
		due_at = CASE WHEN NOT p_lost_required_scope THEN greatest(resumes_at, refresh_due_at(p_access_expires_at, p_lifetime, t.last_read_at)) END
	WHERE t.account_id = p_account AND t.generation = p_spent;
	IF NOT FOUND THEN
		RETURN CASE
			WHEN EXISTS (SELECT 1 FROM token_sets t WHERE t.account_id = p_account AND t.saved_attempt_id = p_attempt)
				OR EXISTS (SELECT 1 FROM timeline j WHERE j.account_id = p_account AND j.attempt_id = p_attempt AND j.kind = 'refreshed') THEN 'saved'
			WHEN NOT EXISTS (SELECT 1 FROM token_sets t WHERE t.account_id = p_account) THEN 'gone'
			WHEN EXISTS (SELECT 1 FROM timeline j WHERE j.account_id = p_account AND j.generation = p_spent + 1 AND j.kind = 'refreshed') THEN 'double_spend'
			ELSE 'replaced'
		END;
	END IF;

	SELECT a.owner_id, a.status, a.status_reason, a.scopes INTO STRICT account FROM accounts a WHERE a.id = p_account;
	IF account.scopes IS DISTINCT FROM p_scopes OR account.status <> next_status THEN
		UPDATE accounts a SET scopes = p_scopes, status = next_status, status_reason = next_reason,
			status_changed_at = CASE WHEN a.status = next_status THEN a.status_changed_at ELSE now() END
		WHERE a.id = p_account;
	END IF;
	INSERT INTO timeline (account_id, kind, generation, attempt_id, code, actor)
	VALUES (p_account, 'refreshed', p_spent + 1, p_attempt,
		CASE WHEN p_lost_required_scope THEN next_reason WHEN NOT (account.scopes @> p_scopes AND account.scopes <@ p_scopes) THEN 'scopes_changed' END, 'service');
	IF account.status <> next_status THEN
		-- The state changed: the timeline says why, like the event.
		INSERT INTO timeline (account_id, kind, generation, attempt_id, code, actor)
		VALUES (p_account, CASE WHEN p_lost_required_scope THEN next_status ELSE 'recovered' END, p_spent + 1, p_attempt,
			coalesce(next_reason, account.status_reason), 'service');
		INSERT INTO events (type, account_id, data)
		VALUES (CASE WHEN p_lost_required_scope THEN 'account.reauthorization_required' ELSE 'account.recovered' END, p_account,
			jsonb_strip_nulls(jsonb_build_object('account_id', p_account, 'owner_id', account.owner_id, 'reason', next_reason)));
	END IF;
	RETURN CASE WHEN account.status <> 'active' AND NOT p_lost_required_scope THEN 'recovered' ELSE 'saved' END;
END $$;
