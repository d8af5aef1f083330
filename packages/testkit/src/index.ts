export {
  type PostgresServer,
  type PostgresServerOptions,
  startPostgres,
  uniqueDatabaseName,
} from "./postgres-server.ts";
