-- Takes an upload slot. outcome: reserved | repeated (the same key and request: the reservation it made) | key_reused | exhausted |
-- account_not_found | account_disconnected | reauthorization_required | token_refused
--
-- Why twenty in any 24 hours hold. Every upload has a hold: from its reservation to its expiry or, once committed, to 24 hours after
-- the commit. TikTok saw the video somewhere between the two, so the hold covers the 24 hours after that moment, whenever it was.
-- A reservation is given only while fewer holds than the limit stand. Take any 24 hours and the last reservation in them: the holds
-- of all the others stood at that moment, so there are never more than the limit. Only a late commit can add to them, because
-- another reservation may have taken its place. It is flagged, and it counts for the next 24 hours like any other.
--
-- Why a function. It has to lock first and look afterwards: in one plain statement the count would see the snapshot from before the
-- wait, and two reservations could take the last slot.
--
-- Why no row per slot, taken with SKIP LOCKED. A row that is locked but stays free makes a refusal that is not true, a late commit
-- past the limit has no row to hold, and a changed limit means making and unmaking rows.
--
-- Why an advisory lock. A refusal writes nothing then, so a caller that insists costs no flush. It is per person at TikTok
-- (7214002 is ours alone); two people who share a hash wait for each other, nothing worse.
--
-- The clock is read once the lock is held, so that the times of one person never run backwards.
--
-- An idempotency key belongs to whoever chose it: two callers that both say `job-1` get a slot each.
--
-- An exhaustion is announced by whoever takes the last slot, once per next_slot_at however often that slot goes back and forth;
-- or by the first refusal, when nobody took the last one because the limit was lowered.
CREATE OR REPLACE FUNCTION reserve_upload(p_account text, p_upload text, p_key text, p_ttl_seconds integer, p_limit integer, p_actor text, p_caller text)
RETURNS upload_decision LANGUAGE plpgsql AS $$
DECLARE
	decided upload_decision;
	person record;
	seen record;
	usable boolean;
	expires timestamptz;
BEGIN
	SELECT a.owner_id, a.status, a.status_reason, tiktok_user_of(a.open_id) AS tiktok_user, pg_advisory_xact_lock(7214002, hashtext(a.open_id)),
		t.access_expires_at, coalesce(t.refused_generation = t.generation, false) AS refused
	INTO person FROM accounts a LEFT JOIN token_sets t ON t.account_id = a.id WHERE a.id = p_account;
	decided.judged_at := clock_timestamp();
	IF person.tiktok_user IS NULL THEN
		decided.outcome := CASE WHEN person.status IS NULL THEN 'account_not_found' ELSE 'account_disconnected' END;
		RETURN decided;
	END IF;
	SELECT count(u.committed_at)::integer AS used, count(*)::integer AS held,
		(SELECT g FROM upload_gates g WHERE g.tiktok_user = person.tiktok_user) AS gate,
		(SELECT o FROM uploads o WHERE o.account_id = p_account AND o.caller = p_caller AND o.idempotency_key = p_key) AS earlier
	INTO seen FROM uploads u WHERE u.tiktok_user = person.tiktok_user AND u.held_until > decided.judged_at;
	usable := person.status = 'active';
	IF person.status_reason = 'refresh_outcome_unknown' THEN
		-- The present token is still handed out, so it may still be used (F01).
		usable := person.access_expires_at > decided.judged_at AND NOT person.refused;
	END IF;
	decided.outcome := CASE
		WHEN (seen.earlier).ttl_seconds = p_ttl_seconds THEN 'repeated'
		WHEN (seen.earlier).id IS NOT NULL THEN 'key_reused'
		WHEN usable IS NOT TRUE THEN 'reauthorization_required'
		WHEN person.refused THEN 'token_refused'
		WHEN seen.held >= p_limit OR (seen.gate).closed_until > decided.judged_at THEN 'exhausted'
		ELSE 'reserved'
	END;

	IF decided.outcome = 'reserved' THEN
		expires := ceil_milliseconds(decided.judged_at) + make_interval(secs => p_ttl_seconds);
		INSERT INTO uploads (id, account_id, tiktok_user, idempotency_key, caller, ttl_seconds, reserved_by, reserved_at, expires_at, held_until)
		VALUES (p_upload, p_account, person.tiktok_user, p_key, p_caller, p_ttl_seconds, p_actor, decided.judged_at, expires, expires);
		IF seen.held + 1 < p_limit THEN
			IF (seen.gate).exhausted_until <= decided.judged_at THEN
				UPDATE upload_gates g SET exhausted_until = NULL WHERE g.tiktok_user = person.tiktok_user;
			END IF;
			-- What upload_decided would find, without looking again: this is the usual way.
			RETURN ('reserved', decided.judged_at, seen.used, seen.held + 1 - seen.used, p_limit - seen.held - 1, decided.judged_at, NULL,
				p_upload, decided.judged_at, expires, NULL, false, NULL, NULL, NULL)::upload_decision;
		END IF;
	END IF;
	SELECT d.* INTO decided
	FROM upload_decided(decided.outcome, coalesce((seen.earlier).id, p_upload), person.tiktok_user, p_limit, decided.judged_at) d;
	IF (decided.outcome = 'reserved' AND coalesce((seen.gate).exhausted_until <= decided.judged_at, true))
		OR (decided.outcome = 'exhausted' AND (seen.gate).exhausted_until IS NULL)
	THEN
		PERFORM announce_exhaustion(person.tiktok_user, p_account, person.owner_id, decided.free_at);
	END IF;
	RETURN decided;
END $$;
