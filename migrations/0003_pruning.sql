-- Takes away what can have no effect on any decision or budget any more, a bounded number at a time. Events are never
-- touched. What may go, and when:
--
--   root tokens, recorded    by a command (an event and a revision, not here), seven days after the root's expiry: nothing
--   children, revocations    below an expired root is allowed, whatever is on record of it. The ended rows a week later, here.
--   counters                 of a root, once the root has ended; others once their window is over. What is carved or
--                            reserved stays, and what a carve will be refunded by. `total` is never over.
--   unknown calls            once each counter that they charge is gone or in a later window: until then they are what a late
--                            outcome is booked by, and what they charged stays charged.
--   changes of authority     behind those that a reader may still follow.
--
-- No row says how long its window is. The longest has 31 days.

CREATE INDEX authority_expiry ON authority (tenant_id, ((value ->> 'expiresAtMs')::int8))
  WHERE kind IN ('root_token', 'node') AND deactivated_ms IS NULL;
CREATE INDEX authority_ended ON authority (tenant_id, deactivated_ms)
  WHERE kind IN ('root_token', 'node', 'revocation') AND deactivated_ms IS NOT NULL;
CREATE INDEX carve_child ON carve (tenant_id, child_counter);

-- One page: the counters and calls after these (null: from the first), and as many other rows. Answers where the next
-- page begins (null: there is none), and how many rows went.
CREATE FUNCTION writ_prune(
  p_tenant uuid, p_after_counter bytea, p_after_call uuid, p_limit int4,
  OUT next_counter bytea, OUT next_call uuid, OUT counters int4, OUT calls int4, OUT objects int4, OUT changes int4
)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  day constant int8 := 86400000;
  head record;
  now_ms int8;
  over_ms int8;
  held bytea[];
  page_counters bytea[];
  page_calls uuid[];
BEGIN
  SELECT * INTO head FROM writ_lock_heads(ARRAY[p_tenant]);
  IF head.tenant_id IS NULL THEN
    RAISE EXCEPTION 'tenant % has no head', p_tenant USING ERRCODE = 'WR002';
  END IF;
  now_ms := writ_now_us() / 1000;
  -- A window that began before this is over, whichever it is; `total` begins at 0.
  over_ms := now_ms - 32 * day;

  held := ARRAY(SELECT DISTINCT substr(c.counters, p.n * 16 - 15, 16)
    FROM open_call c, LATERAL generate_subscripts(c.amounts, 1) AS p(n)
    WHERE c.tenant_id = p_tenant AND c.state = 'open');
  page_counters := ARRAY(SELECT b.counter FROM budget_charge b
    WHERE b.tenant_id = p_tenant AND (p_after_counter IS NULL OR b.counter > p_after_counter)
    ORDER BY b.counter LIMIT p_limit);
  IF cardinality(page_counters) = p_limit THEN
    next_counter := page_counters[p_limit];
  END IF;
  DELETE FROM budget_charge b
    WHERE b.tenant_id = p_tenant AND b.counter = ANY (page_counters) AND b.carved = 0 AND b.counter <> ALL (held)
      AND NOT EXISTS (SELECT FROM carve c WHERE c.tenant_id = p_tenant AND c.child_counter = b.counter)
      -- The counters of a root that lives are counted: none of them goes before it.
      AND CASE WHEN b.root IS NULL THEN b.window_start > 0 AND b.window_start < over_ms
        ELSE NOT EXISTS (SELECT FROM authority a WHERE a.tenant_id = p_tenant AND a.kind = 'root_token'
          AND a.id = encode(b.root, 'hex') AND a.deactivated_ms IS NULL) END;
  GET DIAGNOSTICS counters = ROW_COUNT;

  page_calls := ARRAY(SELECT c.call_id FROM open_call c
    WHERE c.tenant_id = p_tenant AND (p_after_call IS NULL OR c.call_id > p_after_call)
    ORDER BY c.call_id LIMIT p_limit);
  IF cardinality(page_calls) = p_limit THEN
    next_call := page_calls[p_limit];
  END IF;
  DELETE FROM open_call c
    WHERE c.tenant_id = p_tenant AND c.call_id = ANY (page_calls) AND c.state = 'unknown'
      AND c.opened_us < over_ms * 1000
      AND NOT EXISTS (SELECT FROM generate_subscripts(c.window_starts, 1) AS p(n)
        JOIN budget_charge b ON b.tenant_id = p_tenant AND b.counter = substr(c.counters, p.n * 16 - 15, 16)
          AND b.window_start = c.window_starts[p.n]);
  GET DIAGNOSTICS calls = ROW_COUNT;

  -- Rows are named by their place: nobody else moves this tenant's while the head is held.
  DELETE FROM authority a WHERE a.tenant_id = p_tenant AND a.ctid = ANY (ARRAY(
    SELECT e.ctid FROM authority e
    WHERE e.tenant_id = p_tenant AND e.kind IN ('root_token', 'node', 'revocation')
      AND e.deactivated_ms IS NOT NULL AND e.deactivated_ms < now_ms - 7 * day
    ORDER BY e.deactivated_ms LIMIT p_limit));
  GET DIAGNOSTICS objects = ROW_COUNT;

  DELETE FROM authority_change c WHERE c.tenant_id = p_tenant AND c.ctid = ANY (ARRAY(
    SELECT o.ctid FROM authority_change o
    WHERE o.tenant_id = p_tenant AND o.revision <= head.revision - writ_changes_kept()
    ORDER BY o.revision, o.position LIMIT p_limit));
  GET DIAGNOSTICS changes = ROW_COUNT;
END $$;

REVOKE ALL ON FUNCTION writ_prune(uuid, bytea, uuid, int4) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION writ_prune(uuid, bytea, uuid, int4) TO writ_control;
