-- Brings the token set of one account forward to a generation that a journal holds. p_restore holds account_id, generation, attempt_id,
-- sealed_access_token, sealed_refresh_token, access_expires_at, refresh_expires_at, lifetime_seconds, scopes, lost_required_scope and
-- actor.
--
-- Never backward: a row that is as new or newer stays. No event goes out: whoever had to be told was told before the restore.
-- The tokens of an account that is disconnected replace older ones that wait to be revoked.
-- Returns restored, present, gone (disconnected) or unknown.
CREATE OR REPLACE FUNCTION restore_token_set(p_restore jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	fresh record;
BEGIN
	SELECT r.* INTO STRICT fresh FROM jsonb_to_record(p_restore) AS r(account_id text, generation integer, attempt_id text, sealed_access_token text,
		sealed_refresh_token text, sealed_expiry text, access_expires_at timestamptz, refresh_expires_at timestamptz, lifetime_seconds integer, scopes text[],
		lost_required_scope boolean, actor text);

	UPDATE token_sets t SET generation = fresh.generation, sealed_access_token = fresh.sealed_access_token, sealed_refresh_token = fresh.sealed_refresh_token, sealed_expiry = fresh.sealed_expiry,
		access_expires_at = fresh.access_expires_at, refresh_expires_at = coalesce(fresh.refresh_expires_at, t.refresh_expires_at), lifetime_seconds = fresh.lifetime_seconds,
		refreshed_at = now(), saved_attempt_id = fresh.attempt_id, attempt_id = NULL, lease_until = NULL, unsettled_attempts = 0, rejected_at = NULL, failures = 0,
		next_attempt_at = now(),
		due_at = CASE WHEN NOT fresh.lost_required_scope THEN refresh_due_at(fresh.access_expires_at, fresh.lifetime_seconds, t.last_read_at) END
	WHERE t.account_id = fresh.account_id AND t.generation < fresh.generation;
	IF NOT FOUND THEN
		IF EXISTS (SELECT 1 FROM token_sets t WHERE t.account_id = fresh.account_id) THEN
			RETURN 'present';
		ELSIF NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = fresh.account_id) THEN
			RETURN 'unknown';
		END IF;
		UPDATE revocations r SET generation = fresh.generation, sealed_access_token = fresh.sealed_access_token,
			sealed_refresh_token = fresh.sealed_refresh_token, access_expires_at = fresh.access_expires_at
		WHERE r.account_id = fresh.account_id AND r.subject = fresh.account_id AND r.generation < fresh.generation;
		RETURN 'gone';
	END IF;

	UPDATE accounts a SET scopes = fresh.scopes,
		status = CASE WHEN fresh.lost_required_scope THEN 'reauthorization_required' ELSE 'active' END,
		status_reason = CASE WHEN fresh.lost_required_scope THEN 'required_scope_removed' END,
		status_changed_at = CASE WHEN (a.status = 'active') = NOT fresh.lost_required_scope THEN a.status_changed_at ELSE now() END
	WHERE a.id = fresh.account_id;
	INSERT INTO timeline (account_id, kind, generation, attempt_id, actor)
	VALUES (fresh.account_id, 'restored', fresh.generation, fresh.attempt_id, fresh.actor);
	RETURN 'restored';
END $$;
