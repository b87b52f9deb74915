-- Forgets an owner whose accounts are disconnected: the connect sessions and the owner go, and the tombstones belong to p_nobody.
-- Tombstones stay, so that a caller that still holds an id hears "disconnected" and not "never existed". They hold nothing personal.
-- Returns false and keeps the owner while an account is live: one that was connected since the caller looked.
CREATE OR REPLACE FUNCTION erase_owner(p_owner text, p_nobody text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	-- First, in the lock order of connect_account: a connect in progress is waited for and then seen; a later one finds no session.
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
