-- What the commit of a call would compare its claims with, for whoever asks what would become of it: what counters hold in
-- these windows, which of them there are (1), and how many there are below the root. Takes no lock and changes nothing.
CREATE FUNCTION writ_foresee(
  p_tenant uuid, p_counters bytea, p_window_start int8[], p_root bytea, OUT totals int8[], OUT known int4[], OUT of_root int8
)
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
  SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
  SELECT array_agg(coalesce(c.total, 0) ORDER BY c.ordinal), array_agg((c.total IS NOT NULL)::int4 ORDER BY c.ordinal),
    (SELECT count(*) FROM budget_charge r WHERE r.tenant_id = p_tenant AND r.root = p_root)
  FROM (
    SELECT w.ordinal, (
        SELECT b.carved + CASE WHEN b.window_start >= w.window_start THEN b.charged ELSE 0 END
        FROM budget_charge b
        WHERE b.tenant_id = p_tenant AND b.counter = substr(p_counters, w.ordinal::int4 * 16 - 15, 16)
      ) AS total
    FROM unnest(p_window_start) WITH ORDINALITY AS w(window_start, ordinal) OFFSET 0
  ) AS c
$$;

REVOKE ALL ON FUNCTION writ_foresee(uuid, bytea, int8[], bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION writ_foresee(uuid, bytea, int8[], bytea) TO writ_gateway;
