-- Keeps count of accounts by status and reason, so that nobody has to count a million of them. Each change adds rows and never updates one:
-- two connects at once would wait for each other on a counter. One replica folds the rows together now and then (measure_fleet).
CREATE OR REPLACE FUNCTION tally_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP <> 'INSERT' THEN
		INSERT INTO account_tallies (status, reason, delta) VALUES (OLD.status, coalesce(OLD.status_reason, 'none'), -1);
	END IF;
	IF TG_OP <> 'DELETE' THEN
		INSERT INTO account_tallies (status, reason, delta) VALUES (NEW.status, coalesce(NEW.status_reason, 'none'), 1);
	END IF;
	RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER accounts_tallied AFTER INSERT OR DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION tally_account();
CREATE OR REPLACE TRIGGER accounts_tallied_anew AFTER UPDATE OF status, status_reason ON accounts FOR EACH ROW
	WHEN (OLD.status IS DISTINCT FROM NEW.status OR OLD.status_reason IS DISTINCT FROM NEW.status_reason) EXECUTE FUNCTION tally_account();

-- Those that were there before the triggers. Their creation has locked the table against writers, so none is missed or counted twice.
INSERT INTO account_tallies (status, reason, delta)
SELECT status, coalesce(status_reason, 'none'), count(*) FROM accounts WHERE NOT EXISTS (SELECT FROM account_tallies) GROUP BY 1, 2;
