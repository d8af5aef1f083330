export {
  type AdminCallOptions,
  type AdminClient,
  type AdminClientOptions,
  adminPath,
  createAdminClient,
  type PagedOperation,
  type PageItem,
} from "./admin-client.ts";
export { ProblemError } from "./problem-error.ts";
