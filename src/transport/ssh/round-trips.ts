import type { Duplex } from 'node:stream';

/**
 * Counts round trips on a stream: each time that something arrives after we wrote. Window updates count as writes, so a
 * long download counts a little more than it waits; for probes it is exact. What is written within one turn of the event
 * loop goes out in one system call: ssh2 writes each packet by itself, and on a fleet the calls are most of the cost.
 */
export class RoundTrips {
  /** begins at 1 for the TCP handshake */
  count = 1;
  private wrote = true;
  private corked = false;

  /** @param stream already paused by its reader: a listener must not set it flowing */
  constructor(stream: Duplex) {
    const write = stream.write;
    stream.write = ((...args: Parameters<typeof write>) => {
      this.wrote = true;
      if (!this.corked) {
        this.corked = true;
        stream.cork();
        process.nextTick(() => {
          this.corked = false;
          stream.uncork();
        });
      }
      return write.apply(stream, args);
    }) as typeof write;
    stream.on('data', () => {
      if (this.wrote) this.count++;
      this.wrote = false;
    });
  }
}
