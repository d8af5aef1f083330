-- Totals of counters are looked for row by row, by their index: a join could read every counter of the tenant, since below
-- row-level security no index serves a comparison with substr of a joined row. The function says what it said.
CREATE OR REPLACE FUNCTION writ_counter_totals(p_tenant uuid, p_counters bytea, p_window_start int8[]) RETURNS int8[]
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
  SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
  SELECT array_agg(coalesce((
      SELECT b.carved + CASE WHEN b.window_start >= w.window_start THEN b.charged ELSE 0 END
      FROM budget_charge b
      WHERE b.tenant_id = p_tenant AND b.counter = substr(p_counters, w.ordinal::int4 * 16 - 15, 16)
    ), 0) ORDER BY w.ordinal)
  FROM unnest(p_window_start) WITH ORDINALITY AS w(window_start, ordinal)
$$;
