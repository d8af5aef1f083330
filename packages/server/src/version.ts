/** The version of this installation, as upstreams, events and `--version` say it. */
export const VERSION = "0.1.0";
