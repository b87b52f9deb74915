-- Records an answered refresh while its generation is still the one that was spent. p_save holds account_id, spent_generation,
-- attempt_id, sealed_access_token, sealed_refresh_token, access_expires_at, refresh_expires_at, lifetime_seconds, scopes
-- and lost_required_scope.
--
-- A function and not a CTE, because the row may be locked by whoever marks the account, disconnects it or saves this very answer a
-- second time. What became of it has to be looked at after that wait.
-- Returns saved (also when this attempt had been saved before), recovered, double_spend, replaced, gone, or behind: the row is older
-- than the token that was spent, or there is no account, so the database went back meanwhile.
CREATE OR REPLACE FUNCTION save_token_set(p_save jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	fresh record;
	account record;
	next_status text := 'active';
	next_reason text;
BEGIN
	SELECT s.* INTO STRICT fresh FROM jsonb_to_record(p_save) AS s(account_id text, spent_generation integer, attempt_id text,
		sealed_access_token text, sealed_refresh_token text, sealed_expiry text, access_expires_at timestamptz, refresh_expires_at timestamptz,
		lifetime_seconds integer, scopes text[], lost_required_scope boolean);
	IF fresh.lost_required_scope THEN
		next_status := 'reauthorization_required';
		next_reason := 'required_scope_removed';
	END IF;

	UPDATE token_sets t SET generation = fresh.spent_generation + 1, sealed_access_token = fresh.sealed_access_token, sealed_refresh_token = fresh.sealed_refresh_token, sealed_expiry = fresh.sealed_expiry,
		access_expires_at = fresh.access_expires_at, refresh_expires_at = coalesce(fresh.refresh_expires_at, t.refresh_expires_at), lifetime_seconds = fresh.lifetime_seconds,
		refreshed_at = now(), saved_attempt_id = fresh.attempt_id, attempt_id = NULL, lease_until = NULL, unsettled_attempts = 0, rejected_at = NULL, failures = 0,
		next_attempt_at = now(),
		due_at = CASE WHEN NOT fresh.lost_required_scope THEN refresh_due_at(fresh.access_expires_at, fresh.lifetime_seconds, t.last_read_at) END
	WHERE t.account_id = fresh.account_id AND t.generation = fresh.spent_generation;
	IF NOT FOUND THEN
		RETURN CASE
			WHEN EXISTS (SELECT 1 FROM token_sets t WHERE t.account_id = fresh.account_id AND t.saved_attempt_id = fresh.attempt_id)
				OR EXISTS (SELECT 1 FROM timeline j WHERE j.account_id = fresh.account_id AND j.attempt_id = fresh.attempt_id AND j.kind = 'refreshed') THEN 'saved'
			WHEN NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = fresh.account_id)
				OR EXISTS (SELECT 1 FROM token_sets t WHERE t.account_id = fresh.account_id AND t.generation < fresh.spent_generation) THEN 'behind'
			WHEN NOT EXISTS (SELECT 1 FROM token_sets t WHERE t.account_id = fresh.account_id) THEN 'gone'
			WHEN EXISTS (SELECT 1 FROM timeline j WHERE j.account_id = fresh.account_id AND j.generation = fresh.spent_generation + 1 AND j.kind = 'refreshed') THEN 'double_spend'
			ELSE 'replaced'
		END;
	END IF;

	SELECT a.owner_id, a.status, a.status_reason, a.scopes INTO STRICT account FROM accounts a WHERE a.id = fresh.account_id;
	IF account.scopes IS DISTINCT FROM fresh.scopes OR account.status <> next_status THEN
		UPDATE accounts a SET scopes = fresh.scopes, status = next_status, status_reason = next_reason,
			status_changed_at = CASE WHEN a.status = next_status THEN a.status_changed_at ELSE now() END
		WHERE a.id = fresh.account_id;
	END IF;
	INSERT INTO timeline (account_id, kind, generation, attempt_id, code, actor)
	VALUES (fresh.account_id, 'refreshed', fresh.spent_generation + 1, fresh.attempt_id,
		CASE WHEN fresh.lost_required_scope THEN next_reason WHEN NOT (account.scopes @> fresh.scopes AND account.scopes <@ fresh.scopes) THEN 'scopes_changed' END, 'service');
	IF account.status <> next_status THEN
		-- The status changed: the timeline says why, like the event.
		INSERT INTO timeline (account_id, kind, generation, attempt_id, code, actor)
		VALUES (fresh.account_id, CASE WHEN fresh.lost_required_scope THEN next_status ELSE 'recovered' END, fresh.spent_generation + 1, fresh.attempt_id,
			coalesce(next_reason, account.status_reason), 'service');
		INSERT INTO events (type, account_id, data)
		VALUES (CASE WHEN fresh.lost_required_scope THEN 'account.reauthorization_required' ELSE 'account.recovered' END, fresh.account_id,
			jsonb_strip_nulls(jsonb_build_object('account_id', fresh.account_id, 'owner_id', account.owner_id, 'reason', next_reason)));
	END IF;
	RETURN CASE WHEN account.status <> 'active' AND NOT fresh.lost_required_scope THEN 'recovered' ELSE 'saved' END;
END $$;
