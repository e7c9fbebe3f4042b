/** The one table of exit codes; README and --help print it. */
export const EXIT = {
  ok: 0,
  pending: 2,
  failed: 3,
  unreachable: 4,
  usage: 64,
  bug: 70,
  interrupted: 130,
  terminated: 143,
} as const;
