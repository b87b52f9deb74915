-- Replaces connect_account (0001): it looks whether its session is still there, and leaves the profile's first minute to the connect itself.
-- Gives a fresh grant its account: a new one while the owner has a place, or the one that this TikTok account has already.
-- A function and not a CTE, because it has to lock the owner first and count afterwards: in one statement the count
-- would see the snapshot from before the wait, and two connects could take the last place.
-- Tokens come sealed for (p_account, p_generation); when that is no longer where they belong the answer is 'moved' and the caller seals anew.
-- A session that is gone was erased with its owner while TikTok was answering: an erased person is not connected again by what was still in flight.
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

	PERFORM 1 FROM connect_sessions s WHERE s.id = p_session FOR UPDATE;
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
	RETURN QUERY SELECT 'connected', p_account;
END $$;
--> statement-breakpoint
-- Forgets an owner whose accounts are disconnected: connect sessions and the owner go, and the tombstones belong to nobody. They stay, so that a caller
-- that still holds an id hears that the account was disconnected and not that it never was; there is nothing of a person in them.
-- Answers false, and keeps the owner, while an account is live: one that was connected since the caller looked.
CREATE FUNCTION erase_owner(p_owner text, p_nobody text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	-- First, in the order of connect_account: a connect that is being recorded is waited for and then seen, a later one finds no session.
	DELETE FROM connect_sessions s WHERE s.owner_id = p_owner;
	PERFORM 1 FROM owners o WHERE o.id = p_owner FOR UPDATE;
	IF NOT FOUND THEN
		RETURN true;
	END IF;
	IF EXISTS (SELECT 1 FROM accounts a WHERE a.owner_id = p_owner AND a.status <> 'disconnected') THEN
		RETURN false;
	END IF;
	INSERT INTO owners (id) VALUES (p_nobody) ON CONFLICT (id) DO NOTHING;
	UPDATE accounts a SET owner_id = p_nobody, label = NULL WHERE a.owner_id = p_owner;
	DELETE FROM owners o WHERE o.id = p_owner;
	RETURN true;
END $$;
