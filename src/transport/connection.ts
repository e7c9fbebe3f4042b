/**
 * One script, sent over stdin of one `sh`, and what it answers in frames. The transport adds the prelude (nonce, the
 * functions `bf_b ID` and `bf_e ID RC`, PATH, LC_ALL=C, umask 077) and wraps the body so that nothing runs before all of
 * it has arrived, and so that no command of it reads the rest of the script.
 */
export interface ScriptRequest {
  /** sh text and payload chunks in order; Buffers are shared between hosts and written as they are */
  body: Iterable<string | Buffer>;
  /** through sudo, unless the login user is root */
  become: boolean;
  /** seconds until the channel is given up */
  deadline: number;
  /** cap over all of stdout in bytes; beyond it the channel is closed and E_LIMIT is the error */
  maxBytes: number;
  /** called as each frame ends; frames are not kept then */
  onFrame?: (frame: Frame) => void;
  /** frames with this id are streamed: `onChunk` gets the body as it arrives, and the kept frame's body is empty */
  streamId?: string;
  onChunk?: (chunk: Buffer) => void;
  /** return true to close the channel early with what there is (a followed log that has reached its end) */
  isLast?: (frame: Frame) => boolean;
  signal?: AbortSignal;
}

/** `id` is [A-Za-z0-9._:-]{1,80}; rc is what bf_e was given. The body is as the host printed it: untrusted. */
export interface Frame {
  id: string;
  rc: number;
  body: Buffer;
}

export interface ScriptResult {
  frames: ReadonlyMap<string, Frame>;
  /** exit status of the shell, null when it ended by a signal or the channel was closed */
  status: number | null;
  /** last 64 KiB */
  stderr: Buffer;
}

/**
 * An open connection to one host. Scripts run one at a time. Every rejection is a FleetError that carries the host:
 * E_SUDO, E_SHELL (login shell or forced command answers no frame), E_PROTOCOL, E_LIMIT, E_TIMEOUT, E_UNREACHABLE (lost).
 */
export interface Connection {
  readonly host: string;
  run(request: ScriptRequest): Promise<ScriptResult>;
  /** round trips so far, as counted by changes of direction on the wire */
  readonly roundTrips: number;
  /** false once the link is gone */
  readonly alive: boolean;
  close(): Promise<void>;
}

/** Opens connections; one instance serves a run (parsed known_hosts, agent, keys are read once). */
export interface Transport {
  connect(host: import('../inventory/host.ts').Host, signal?: AbortSignal): Promise<Connection>;
  close(): Promise<void>;
}

/**
 * The frame functions of the prelude. The transport sets and exports BF_NONCE before them; BF_P is a prefix of ids that
 * the engine sets around a fragment. A nested sh (as another user) gets the same text and the exported nonce.
 * `bf_b ID` and `bf_e ID RC` stand around what commands print. `bf_f ID TEXT` is a whole frame that the shell has in a
 * variable, with rc 0: those are gathered, as each write is a packet and wakes sshd; `bf_flush` sends them, and so does
 * the script's end. `bf_n` is a line break.
 */
export const FRAME_FUNCTIONS = `bf_b() { printf '\\n%s b %s%s\\n' "$BF_NONCE" "\${BF_P-}" "$1"; }
bf_e() { printf '\\n%s e %s%s %s\\n' "$BF_NONCE" "\${BF_P-}" "$1" "$2"; }
bf_o= bf_n='
'
bf_f() {
bf_o="$bf_o$bf_n$BF_NONCE b \${BF_P-}$1$bf_n$2$bf_n$BF_NONCE e \${BF_P-}$1 0$bf_n"
[ \${#bf_o} -lt 8192 ] || bf_flush
}
bf_flush() { printf %s "$bf_o"; bf_o=; }
`;
