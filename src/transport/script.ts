import { randomBytes } from 'node:crypto';
import { FRAME_FUNCTIONS } from './connection.ts';

/** Strings are gathered up to this size, so that a script of many small parts is few packets. */
const WRITE_SIZE = 32 * 1024;

/** 128 random bits as hex: one for each script. */
export function newNonce(): string {
  return randomBytes(16).toString('hex');
}

/**
 * Wraps a body for the stdin of a POSIX sh. The first line says that a shell reads us. The body stands in one compound
 * command, which sh parses to its end before it runs anything of it: a script cut on the way runs not at all. Its
 * stdin is /dev/null, so no command eats the rest. A trap says how it ended, also where the body says `exit`; not where
 * it says `exec`, which is for subshells, nor where sh could not parse it. (A subshell around all of it would do the
 * same for a process more on each host.)
 */
export function* wrapScript(nonce: string, body: Iterable<string | Buffer>): Generator<string | Buffer> {
  yield `printf '\\n%s h\\n' ${nonce}
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C BF_NONCE=${nonce}
export PATH LC_ALL BF_NONCE
unset ENV BASH_ENV CDPATH LANGUAGE bf_ran
IFS=' 	
'
umask 077
cd /
${FRAME_FUNCTIONS}trap 'bf_rc=$?; trap - 0; [ -z "\${bf_ran-}" ] || { bf_flush; printf "\\n%s q %s\\n" ${nonce} "$bf_rc"; }; exit "$bf_rc"' 0
{
bf_ran=1
`;
  yield* body;
  yield `
} </dev/null
`;
}

/** Joins small chunks to ones worth a write; large Buffers, which hosts share, pass as they are. */
export function* coalesce(chunks: Iterable<string | Buffer>): Generator<Buffer> {
  let gathered: (string | Buffer)[] = [];
  let size = 0;
  const join = () => {
    const all = gathered.every((c) => typeof c === 'string')
      ? Buffer.from((gathered as string[]).join(''))
      : Buffer.concat(gathered.map((c) => (typeof c === 'string' ? Buffer.from(c) : c)));
    gathered = [];
    size = 0;
    return all;
  };
  for (const chunk of chunks) {
    if (chunk.length === 0) continue;
    if (size > 0 && size + chunk.length > WRITE_SIZE) yield join();
    if (typeof chunk !== 'string' && chunk.length >= WRITE_SIZE) yield chunk;
    else {
      gathered.push(chunk);
      size += chunk.length;
    }
  }
  if (size > 0) yield join();
}
