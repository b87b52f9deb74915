-- Whether an account of an owner lies within what a caller may touch. p_reach is null for a caller that may touch everything; it holds
-- owner_prefixes and account_ids, each of which is left out when it does not narrow.
--
-- Every statement that looks for what a caller named goes through this, so that there is one answer to what is outside.
CREATE OR REPLACE FUNCTION in_reach(p_reach jsonb, p_owner text, p_account text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
	SELECT p_reach IS NULL OR coalesce(
		(p_reach -> 'owner_prefixes' IS NULL
			OR EXISTS (SELECT 1 FROM jsonb_array_elements_text(p_reach -> 'owner_prefixes') AS prefix WHERE starts_with(p_owner, prefix)))
		AND (p_reach -> 'account_ids' IS NULL OR p_reach -> 'account_ids' ? p_account), false)
$$;
