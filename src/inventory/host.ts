/** How to reach a host: what the inventory says; ~/.ssh/config fills the gaps. */
export interface ConnectionVars {
  address?: string | undefined;
  port?: number | undefined;
  user?: string | undefined;
  identity_file?: string | undefined;
  /** `user@host:port`, comma-separated for a chain, or names of inventory hosts */
  jump?: string | undefined;
  become?: boolean | undefined;
  /** pins such as `ssh-ed25519 AAAA…` or `SHA256:…`; when given, known_hosts is not asked */
  host_keys?: readonly string[] | undefined;
}

/** A host with its variables merged: group vars (parents first), then its own. */
export interface Host {
  name: string;
  groups: readonly string[];
  connection: ConnectionVars;
  vars: Readonly<Record<string, unknown>>;
}
