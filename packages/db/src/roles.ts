/**
 * `ensureRoles`: the database roles, which belong to the whole server and not to one database. `writ_owner` owns every
 * object, `writ_gateway` and `writ_control` are what the two planes run as; none can log in, none is above row-level
 * security. Privileges on tables are the migrations' business.
 */
import { type Database, DatabaseError } from "./database.ts";
import { isDuplicateObject, isSerializationFailure, isUniqueViolation } from "./errors.ts";
import { SCHEMA } from "./settings.ts";

/** Key of the advisory lock under which one process at a time prepares or migrates a database. */
export const MIGRATION_LOCK_KEY = 8_236_947_110_345_201n;

const ATTEMPTS_MAX = 10;
const PAUSE_MS = 50;

const createRoles = `
DO $$
DECLARE
  role_name text;
  needed text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
  PERFORM pg_advisory_xact_lock(${MIGRATION_LOCK_KEY});
  FOREACH role_name IN ARRAY ARRAY['writ_owner', 'writ_gateway', 'writ_control'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL; -- Another database of this server was quicker.
      END;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = role_name AND (rolsuper OR rolbypassrls)) THEN
      RAISE EXCEPTION 'role % must be neither superuser nor BYPASSRLS', role_name USING ERRCODE = '28000';
    END IF;
    IF NOT pg_has_role(current_user, role_name, needed) THEN
      EXECUTE format('GRANT %I TO CURRENT_USER', role_name);
    END IF;
  END LOOP;
  IF pg_has_role('writ_gateway', 'writ_control', 'MEMBER') OR pg_has_role('writ_control', 'writ_gateway', 'MEMBER')
     OR pg_has_role('writ_gateway', 'writ_owner', 'MEMBER') OR pg_has_role('writ_control', 'writ_owner', 'MEMBER') THEN
    RAISE EXCEPTION 'writ_gateway and writ_control must be members of no role of Writ' USING ERRCODE = '28000';
  END IF;
  IF NOT has_schema_privilege('writ_owner', '${SCHEMA}', 'CREATE') THEN
    GRANT USAGE, CREATE ON SCHEMA ${SCHEMA} TO writ_owner;
  END IF;
  IF has_schema_privilege('writ_gateway', '${SCHEMA}', 'CREATE') THEN
    REVOKE CREATE ON SCHEMA ${SCHEMA} FROM PUBLIC;
  END IF;
  IF NOT has_schema_privilege('writ_gateway', '${SCHEMA}', 'USAGE') THEN
    GRANT USAGE ON SCHEMA ${SCHEMA} TO writ_gateway, writ_control;
  END IF;
END $$`;

/**
 * Creates the roles where they are missing and lets the signed-in user switch to them. Idempotent, and safe when many
 * databases of one server do it at once. Needs CREATEROLE where roles are missing. Throws `DatabaseError`.
 */
export async function ensureRoles(database: Database): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await database.script(createRoles);
      return;
    } catch (error) {
      // Databases of one server change the same rows of its catalogue: whoever loses does it again.
      if (attempt === ATTEMPTS_MAX || !lostRace(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * attempt));
    }
  }
}

function lostRace(error: unknown): boolean {
  return (
    isUniqueViolation(error) ||
    isDuplicateObject(error) ||
    isSerializationFailure(error) ||
    // "tuple concurrently updated" has no code of its own.
    (error instanceof DatabaseError && error.sqlState === "XX000" && error.message.includes("concurrently"))
  );
}
