export { systemClock } from "./clock.ts";
export { type Config, ConfigError, type ConfigProblem } from "./config/config.ts";
export { describeConfig } from "./config/describe-config.ts";
export { CONFIG_BYTES_MAX, type LoadConfigOptions, loadConfig } from "./config/load-config.ts";
export { environmentName, listSettings, type Setting } from "./config/settings.ts";
export {
  hashAdminKey,
  isSameHash,
  type KeyParts,
  type MadeKey,
  type MakeKeyOptions,
  makeAdminKey,
  makePointKey,
  parseAdminKey,
  parsePointKey,
} from "./keyring/admin-key.ts";
export { type ChainKey, type Keyring, openKeyring, type SecretPlace, UnwrapError } from "./keyring/keyring.ts";
export { type LoadMasterKeyOptions, loadMasterKey, type MasterKey } from "./keyring/master-key.ts";
export {
  type LoadSecretFileOptions,
  loadSecretFile,
  SecretError,
  writePrivateFile,
} from "./keyring/secret-file.ts";
export { openEnvironmentValue, type UpstreamPlace, wrapEnvironmentValue } from "./keyring/upstream-environment.ts";
export { CONTROL_LIMITS, LISTENER_LIMITS, type ListenNearOptions, listenNear } from "./listener-limits.ts";
export { createLogger, type Logger, type LoggerOptions, maskCredentials } from "./logger.ts";
export { DirectoryError, makeDirectory } from "./make-directory.ts";
export {
  type AddressKind,
  type AddressRules,
  explainRefusal,
  makeAddressRules,
} from "./network/address-rules.ts";
export { createSystemRandom } from "./random.ts";
