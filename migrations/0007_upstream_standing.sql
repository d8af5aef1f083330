-- Upstreams that a gateway gives time after they failed, as each gateway says it of itself: for whoever looks, no call is
-- decided by it. A row stands for as long as its gateway does not take the upstream for sound again. No state is stored:
-- before `until_us` nobody tries, after it one probe does.
CREATE TABLE upstream_standing (
  tenant_id uuid NOT NULL,
  upstream_id text NOT NULL,
  gateway_id uuid NOT NULL,
  until_us int8 NOT NULL,
  PRIMARY KEY (tenant_id, upstream_id, gateway_id)
);
CREATE INDEX upstream_standing_gateway ON upstream_standing (gateway_id);
ALTER TABLE upstream_standing ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenants ON upstream_standing USING (tenant_id = ANY ((SELECT writ_tenants())::uuid[]));
CREATE POLICY instance_wide ON upstream_standing TO CURRENT_USER
  USING ((SELECT current_setting('writ.instance_wide', true)) = 'on');
REVOKE ALL ON upstream_standing FROM PUBLIC;

-- All upstreams that this gateway gives time, in place of what it said before. `p_wait_ms` is what is left: whose clock is
-- right does not matter then. What gateways without a lease have said goes with it.
CREATE FUNCTION writ_tell_standings(p_gateway uuid, p_tenants uuid[], p_upstreams text[], p_wait_ms int8[]) RETURNS void
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
  now_us int8 := writ_now_us();
BEGIN
  PERFORM set_config('writ.instance_wide', 'on', true);
  DELETE FROM upstream_standing s WHERE s.gateway_id = p_gateway OR NOT EXISTS (
    SELECT FROM gateway_lease l WHERE l.gateway_id = s.gateway_id AND l.expires_us > now_us);
  INSERT INTO upstream_standing (tenant_id, upstream_id, gateway_id, until_us)
    SELECT w.tenant_id, w.upstream_id, p_gateway, now_us + w.wait_ms * 1000
    FROM unnest(p_tenants, p_upstreams, p_wait_ms) AS w(tenant_id, upstream_id, wait_ms);
  PERFORM set_config('writ.instance_wide', '', true);
END $$;

-- What gateways that hold a lease say of the upstreams of this transaction's tenants, and how many such gateways there
-- are: a row for each upstream of which one says something, and one without an upstream.
CREATE FUNCTION writ_upstream_standings()
  RETURNS TABLE (upstream_id text, open int4, half_open int4, until_ms int8, live int4)
  LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT NULL::text, 0, 0, NULL::int8, count(*)::int4 FROM gateway_lease l WHERE l.expires_us > writ_now_us()
  UNION ALL
  SELECT s.upstream_id, count(*) FILTER (WHERE s.until_us > n.us)::int4, count(*) FILTER (WHERE s.until_us <= n.us)::int4,
    max(s.until_us) FILTER (WHERE s.until_us > n.us) / 1000, NULL::int4
  FROM (SELECT writ_now_us() AS us) n, upstream_standing s
  JOIN gateway_lease l ON l.gateway_id = s.gateway_id
  WHERE l.expires_us > n.us
  GROUP BY s.upstream_id
$$;

REVOKE ALL ON FUNCTION writ_tell_standings(uuid, uuid[], text[], int8[]), writ_upstream_standings() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION writ_tell_standings(uuid, uuid[], text[], int8[]) TO writ_gateway;
GRANT EXECUTE ON FUNCTION writ_upstream_standings() TO writ_control;
